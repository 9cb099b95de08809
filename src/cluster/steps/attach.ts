/**
 * Waits until a standby streams from the primary, as both of them say. As long as it comes nearer the wait goes on; when
 * it stands still the reason is taken from its own log.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import type { ErrorCode } from '../../errors/codes.ts'
import { until } from '../../util/until.ts'
import type { SqlClient } from '../../wire/sql-client.ts'
import type { ClusterContext } from '../context.ts'
import { openAdminSql } from '../look/connect.ts'
import { findLogEnd, type LogPlace, logMessages, readLog } from '../look/server-log.ts'
import { wantedServer } from '../plan/plan.ts'
import type { ServerWanted } from '../wanted.ts'
import { type Act, serverOfStep } from './act-context.ts'

/** Standing still for this long is a failure. */
const STALL_MS = 60_000
/** A reason in the log is believed after two tries of the walreceiver (wal_retrieve_retry_interval is 5 s). */
const REASON_AFTER_MS = 11_000
const LONGEST_MS = 7 * 24 * 3_600_000

/** Reasons a standby gives, and what each means. */
const REASONS: readonly {
  readonly text: RegExp
  readonly code: ErrorCode
  readonly hint: string
}[] = [
  {
    text: /requested WAL segment \w+ has already been removed/,
    code: 'WAL_UNAVAILABLE',
    hint: 'The primary does not have the WAL any more that the standby needs: backstay reclone <standby>.',
  },
  {
    text: /no pg_hba\.conf entry/,
    code: 'POSTGRES_HBA',
    hint: 'A line before the block of Backstay refuses it: move the block to the top of pg_hba.conf.',
  },
  {
    text: /password authentication failed/,
    code: 'POSTGRES_AUTH',
    hint: 'Run backstay up again: it sets the password of the role and the password file.',
  },
  {
    text: /replication slot "[^"]*" (does not exist|is active)/,
    code: 'SLOT_MISSING',
    hint: 'Run backstay up again; when the slot is active, find out who else uses it.',
  },
  {
    text: /exceeds max_wal_senders|too many connections for role/,
    code: 'POSTGRES_LIMIT',
    hint: 'Raise max_wal_senders or replication.connectionLimit in the cluster file.',
  },
  {
    text: /database system identifier differs|highest timeline \d+ of the primary is behind|forked off current database system timeline/,
    code: 'POSTGRES_IDENTITY',
    hint: 'The standby went another way than the primary: backstay rejoin <standby>.',
  },
  {
    text: /could not connect to the primary server|connection to server .* failed|could not connect to server/,
    code: 'POSTGRES_UNREACHABLE',
    hint: 'Open the port of the primary for the machine of <standby> in the firewall between them.',
  },
]

/** How near a standby is. */
interface Progress {
  readonly isStreaming: boolean
  /** Changes as long as anything arrives. */
  readonly position: string
}

/** Waits. @throws the reason the standby gives, or TIMEOUT. */
export const attachStandby: Act<'attach'> = async (context, step) => {
  const standby = serverOfStep(context, step)
  const primary = wantedServer(context.wanted, step.primary)
  const logBefore = await findLog(context, standby)
  await using primarySql = await openAdminSql(context, primary)
  await using standbySql = await openAdminSql(context, standby)
  const { clock, signal } = context
  let position = ''
  let movedAtMs = clock.monotonic()
  await until(
    async () => {
      const progress = await lookProgress(primarySql, standbySql, standby.name)
      if (progress.isStreaming) return true
      if (progress.position !== position) movedAtMs = clock.monotonic()
      position = progress.position
      const stillMs = clock.monotonic() - movedAtMs
      if (stillMs > REASON_AFTER_MS) await throwReason(context, { standby, primary }, logBefore)
      if (stillMs > STALL_MS) throw stalled({ standby, primary })
      context.report({ kind: 'waiting', server: standby.name, what: 'streaming' })
      return false
    },
    { clock, signal, timeoutMs: LONGEST_MS, intervalMs: 50 },
  )
}

async function lookProgress(
  primary: SqlClient,
  standby: SqlClient,
  name: string,
): Promise<Progress> {
  const [sender] = await primary.query<{ state: string; sent: string }>(
    `SELECT state, coalesce(sent_lsn::text, '') AS sent FROM pg_stat_replication WHERE application_name = $1`,
    [name],
  )
  const [receiver] = await standby.query<{ status: string }>(
    'SELECT status FROM pg_stat_wal_receiver',
  )
  const { replayed } = await standby.one<{ replayed: string }>(
    `SELECT coalesce(pg_last_wal_replay_lsn()::text, '') AS replayed`,
  )
  return {
    isStreaming: sender?.state === 'streaming' && receiver?.status === 'streaming',
    position: `${sender?.sent ?? ''} ${replayed}`,
  }
}

interface Pair {
  readonly standby: ServerWanted
  readonly primary: ServerWanted
}

async function findLog(
  context: ClusterContext,
  server: ServerWanted,
): Promise<LogPlace | undefined> {
  const { host } = await context.machineOf(server)
  await using sql = await openAdminSql(context, server)
  const { directory } = await sql.one<{ directory: string }>(
    `SELECT current_setting('log_directory') AS directory`,
  )
  return await findLogEnd(host, server.directory, directory)
}

async function throwReason(
  context: ClusterContext,
  pair: Pair,
  before: LogPlace | undefined,
): Promise<void> {
  const { standby, primary } = pair
  const now = await findLog(context, standby)
  if (now === undefined) return
  const machine = await context.machineOf(standby)
  const messages = logMessages(await readLog(machine, now, before))
  const reasons = REASONS.flatMap((reason) => {
    const message = messages.findLast((text) => reason.text.test(text))
    return message === undefined ? [] : [{ ...reason, message }]
  })
  const [reason] = reasons
  if (reason === undefined) return
  throw new BackstayError(
    reason.code,
    `Standby "${standby.name}" cannot stream from "${primary.name}": its log says: ${reason.message}`,
    { hint: reason.hint.replaceAll('<standby>', standby.name) },
  )
}

function stalled({ standby, primary }: Pair): BackstayError {
  return new BackstayError(
    'TIMEOUT',
    `Standby "${standby.name}" did not begin to stream from "${primary.name}": nothing moved for ${STALL_MS / 1000} s`,
    { hint: `See the log of "${standby.name}" in ${standby.directory}/log.` },
  )
}
