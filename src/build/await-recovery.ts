/**
 * A server that was restored into its place is the primary to be, but not before its recovery has
 * ended: `up` waits for that.
 */
import { BackstayError, isBackstayError } from '../errors/backstay-error.ts'
import { findPostmaster } from '../host/postmaster.ts'
import { formatLsn, type Lsn } from '../postgres/lsn.ts'
import { formatDuration } from '../util/duration.ts'
import { until } from '../util/until.ts'
import { takeStep } from './apply.ts'
import type { ClusterContext } from '../cluster/context.ts'
import type { ClusterFound } from '../cluster/found.ts'
import { openAdminSql } from '../cluster/look/connect.ts'
import { lookDirectory } from '../cluster/look/look-directory.ts'
import { isMember, isRecovering, type MemberFound } from '../cluster/leader.ts'
import type { ServerWanted } from '../cluster/wanted.ts'
import { wantedServer } from '../cluster/wanted-server.ts'

/** Terabytes of WAL take hours. */
const TIMEOUT_MS = 24 * 3_600_000
const INTERVAL_MS = 200

/** The servers that recover from a restore, while nobody else is primary. */
export function recoveringServers(found: ClusterFound): readonly MemberFound[] {
  const members = found.servers.filter((server) => isMember(found, server))
  if (members.some(({ sql }) => sql?.inRecovery === false)) return []
  return members.filter(isRecovering)
}

/**
 * Waits until a server's recovery has ended, well or not: what is there then is looked at anew.
 * @throws {BackstayError} PRIMARY_MISSING when it is paused, TIMEOUT
 */
export async function awaitRecovery(context: ClusterContext, name: string): Promise<void> {
  const server = wantedServer(context.wanted, name)
  const told = { id: `${name}.recovery`, server: name, title: 'wait for the end of its recovery' }
  await takeStep(context, told, async () => {
    const { clock, signal } = context
    const isOver = await until(() => hasEnded(context, server), {
      clock,
      signal,
      timeoutMs: TIMEOUT_MS,
      intervalMs: INTERVAL_MS,
    })
    if (isOver === true) return
    throw new BackstayError(
      'TIMEOUT',
      `Server "${name}" has not come to the end of its recovery within ${formatDuration(TIMEOUT_MS)}`,
      { hint: 'It goes on. See its log; then run backstay up again.' },
    )
  })
}

async function hasEnded(context: ClusterContext, server: ServerWanted): Promise<boolean> {
  const { host } = await context.machineOf(server)
  if ((await findPostmaster(host, server.directory)) === undefined) return true
  const directory = await lookDirectory(context, host, server)
  const pausedLsn = await pausedAt(context, server)
  if (pausedLsn !== undefined) throw paused(server.name, pausedLsn)
  if (directory.state !== 'data') return true
  return directory.isRecovering !== true && directory.control.state === 'in production'
}

/** Undefined while it replays, and while it cannot be asked. */
async function pausedAt(context: ClusterContext, server: ServerWanted): Promise<Lsn | undefined> {
  try {
    await using sql = await openAdminSql(context, server)
    const state =
      sql.major >= 14 ? `pg_get_wal_replay_pause_state() = 'paused'` : 'pg_is_wal_replay_paused()'
    const row = await sql.one<{ lsn: Lsn | null }>(
      `SELECT CASE WHEN pg_is_in_recovery() AND ${state} THEN pg_last_wal_replay_lsn() END AS lsn`,
    )
    return row.lsn ?? undefined
  } catch (error) {
    if (isBackstayError(error)) return undefined
    throw error
  }
}

function paused(name: string, lsn: Lsn): BackstayError {
  return new BackstayError(
    'PRIMARY_MISSING',
    `Server "${name}" was restored and is paused at LSN ${formatLsn(lsn)}: it is no primary before it is promoted`,
    {
      hint: `Look at its data. SELECT pg_wal_replay_resume() on "${name}" promotes it, when it is what you want; then backstay up.`,
    },
  )
}
