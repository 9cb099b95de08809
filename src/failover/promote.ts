/**
 * Makes a standby the primary and proves that it is one: out of recovery, on a timeline of its own.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { promoteServer } from '../host/postgres-control.ts'
import { versionFacts } from '../postgres/version.ts'
import { until } from '../util/until.ts'
import type { SqlClient } from '../wire/sql-client.ts'
import { type ClusterContext, factOf } from '../cluster/context.ts'
import { openSuperuserSql } from '../cluster/look/connect.ts'
import { type Histories, showHistories } from './histories.ts'
import { instanceOf } from '../build/steps/act-context.ts'
import { noteNewLeader } from '../cluster/leader-note.ts'
import { noteLineThere } from './repository-lines.ts'
import type { RolesLock } from './role-lock.ts'
import type { ServerWanted } from '../cluster/wanted.ts'

/** Promotion ends recovery, which has replayed almost everything by then. */
const PROMOTE_TIMEOUT_MS = 60_000
/** A checkpoint writes all of shared_buffers. */
const CHECKPOINT_TIMEOUT_MS = 30 * 60_000

/** Who becomes the primary. */
export interface Promotion {
  readonly server: ServerWanted
  /** What it has to see first, so that its timeline gets a number that nobody has. */
  readonly histories: Histories
  readonly roles: RolesLock
}

/**
 * Promotes, after showing the server which timelines there are already, and records the new one. It
 * is asked through the session that holds the lock: one that the server ended, because this process
 * was held up, promotes nobody. (Up to 11 only pg_ctl can ask: the session is looked at just
 * before.) `sql`: another connection to the server, which outlives its recovery.
 * @returns the new timeline.
 * @throws TIMEOUT when it is still in recovery after a minute: the promotion may yet happen.
 */
export async function promoteStandby(
  context: ClusterContext,
  { server, histories, roles }: Promotion,
  sql: SqlClient,
): Promise<number> {
  const { clock, signal } = context
  await showHistories(context, { server, histories }, sql)
  if (versionFacts(context.wanted.postgres.version).pgPromote) {
    await roles.sessionOn(server.name).query('SELECT pg_promote(false)')
  } else {
    const instance = await instanceOf(context, server)
    await roles.holdOn(server.name)
    await promoteServer(instance, { timeoutMs: PROMOTE_TIMEOUT_MS, signal })
  }
  const timeline = await until(async () => timelineOf(sql), {
    clock,
    signal,
    timeoutMs: PROMOTE_TIMEOUT_MS,
    intervalMs: 10,
  })
  if (timeline !== undefined) {
    await note(context, { server: server.name, timeline }, sql)
    return timeline
  }
  throw new BackstayError(
    'TIMEOUT',
    `Server "${server.name}" is still a standby ${PROMOTE_TIMEOUT_MS / 1000} s after it was asked to become the primary`,
    { hint: `See its log in ${server.directory}/log: something holds up its recovery.` },
  )
}

/**
 * It is the primary by now: a note that cannot be written must not look like a promotion that
 * failed. The next look at it writes the note.
 */
async function note(
  context: ClusterContext,
  leader: { readonly server: string; readonly timeline: number },
  sql: SqlClient,
): Promise<void> {
  try {
    await noteNewLeader(context, leader, sql)
  } catch (error) {
    const text = `Who is primary now could not be noted: ${factOf(error).message}`
    context.report({ kind: 'note', server: leader.server, text })
  }
  await noteLineThere(context, leader.timeline)
}

/** The timeline a primary writes; undefined while it is in recovery. */
async function timelineOf(sql: SqlClient): Promise<number | undefined> {
  const { timeline } = await sql.one<{ timeline: number | null }>(
    `SELECT CASE WHEN NOT pg_is_in_recovery()
                 THEN ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END AS timeline`,
  )
  return timeline ?? undefined
}

/**
 * A checkpoint: pg_control names a new timeline only after one, and pg_rewind believes pg_control.
 * On a standby it makes the restart point that a promotion would have to make.
 */
export async function checkpoint(context: ClusterContext, server: ServerWanted): Promise<void> {
  const options = { statementTimeoutMs: CHECKPOINT_TIMEOUT_MS }
  await using sql = await openSuperuserSql(context, server, options)
  await sql.query('CHECKPOINT')
}
