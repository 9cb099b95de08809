/**
 * Waits until a standby streams from the primary, as both of them say. As long as it comes nearer
 * the wait goes on; when it stands still the reason is taken from its own log.
 */
import { BackstayError, isBackstayError } from '../../errors/backstay-error.ts'
import type { ErrorCode } from '../../errors/codes.ts'
import { findTightDisk, fullDiskError } from '../../host/full-disk.ts'
import { until } from '../../util/until.ts'
import type { SqlClient } from '../../wire/sql-client.ts'
import type { ClusterContext } from '../../cluster/context.ts'
import { openAdminSql } from '../../cluster/look/connect.ts'
import { findLogEnd, type LogPlace, logMessages, readLog } from '../../cluster/look/quoted-log.ts'
import { AHEAD } from '../../cluster/replication.ts'
import type { ServerWanted } from '../../cluster/wanted.ts'
import { type Act, serverOfStep } from './act-context.ts'
import { wantedServer } from '../../cluster/wanted-server.ts'

/** Standing still for this long is a failure. */
const STALL_MS = 60_000
/**
 * A reason in the log is believed after two tries of the walreceiver (wal_retrieve_retry_interval
 * is 5 s).
 */
const REASON_AFTER_MS = 11_000
const LONGEST_MS = 7 * 24 * 3_600_000

/**
 * A connection that broke without a word holds its slot until the primary gives it up
 * (wal_sender_timeout: 60 s as it comes).
 */
const SLOT_HELD_MS = 90_000

/** Reasons a standby gives, and what each means. */
const REASONS: readonly {
  readonly text: RegExp
  readonly code: ErrorCode
  readonly hint: string
  /** How long it may pass by itself. */
  readonly passesWithinMs?: number
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
    text: /replication slot "[^"]*" does not exist/,
    code: 'SLOT_MISSING',
    hint: 'Run backstay up again: it makes the slot.',
  },
  {
    text: /replication slot "[^"]*" is active/,
    code: 'SLOT_IN_USE',
    hint: 'Find out on the primary who else uses the slot: SELECT * FROM pg_stat_replication.',
    passesWithinMs: SLOT_HELD_MS,
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
    text: /could not connect to the primary server|connection to server .{0,300}? failed|could not connect to server/,
    code: 'POSTGRES_UNREACHABLE',
    hint: 'Open the port of the primary for the machine of <standby> in the firewall between them.',
  },
]

/** What a standby that ends makes of the connections to it. */
const GONE: ReadonlySet<ErrorCode> = new Set([
  'POSTGRES_UNREACHABLE',
  'POSTGRES_CONNECTION_LOST',
  'POSTGRES_QUERY',
  'NOT_READY',
])

interface ReplicationPair {
  readonly standby: ServerWanted
  readonly primary: ServerWanted
}

/** How near a standby is. */
interface AttachProgress {
  readonly isStreaming: boolean
  readonly isAhead: boolean
  /** Changes as long as anything arrives. */
  readonly position: string
}

/**
 * Waits.
 * @throws the reason the standby gives, DISK_SPACE when it has no room for WAL, or TIMEOUT.
 */
export const attachStandby: Act<'attach'> = async (context, step) => {
  const standby = serverOfStep(context, step)
  const pair = { standby, primary: wantedServer(context.wanted, step.primary) }
  try {
    await awaitStream(context, pair)
  } catch (error) {
    // A standby that finds no room while it replays ends, and what is met then is a broken
    // connection.
    if (isBackstayError(error) && GONE.has(error.code)) await refuseFullDisk(context, pair)
    throw error
  }
}

async function awaitStream(context: ClusterContext, pair: ReplicationPair): Promise<void> {
  const { standby, primary } = pair
  const logBefore = await findLog(context, standby)
  await using primarySql = await openAdminSql(context, primary)
  await using standbySql = await openAdminSql(context, standby)
  const { clock, signal } = context
  let position = ''
  let movedAtMs = clock.monotonic()
  await until(
    async () => {
      const progress = await lookProgress(primarySql, standbySql, standby.name)
      if (progress.isAhead) throw ahead(pair)
      if (progress.isStreaming) return true
      if (progress.position !== position) movedAtMs = clock.monotonic()
      position = progress.position
      const stillMs = clock.monotonic() - movedAtMs
      const passesWithinMs =
        stillMs > REASON_AFTER_MS ? await judgeReason(context, pair, { logBefore, stillMs }) : 0
      if (stillMs > REASON_AFTER_MS) await refuseFullDisk(context, pair)
      if (stillMs > Math.max(STALL_MS, passesWithinMs)) throw stalled(pair)
      context.report({ kind: 'waiting', server: standby.name, what: 'streaming' })
      return false
    },
    { clock, signal, timeoutMs: LONGEST_MS, intervalMs: 50 },
  )
}

/** WAL comes in whole segments: without room for one nothing comes. @throws DISK_SPACE */
async function refuseFullDisk(
  context: ClusterContext,
  { standby, primary }: ReplicationPair,
): Promise<void> {
  const { host } = await context.machineOf(standby)
  const disk = await findTightDisk(host, standby.directory)
  if (disk === undefined || disk.freeBytes >= context.wanted.postgres.segmentBytes) return
  const failed = `Standby "${standby.name}" cannot follow "${primary.name}"`
  throw fullDiskError({ name: standby.name, host }, { failed, disk, log: '' })
}

async function lookProgress(
  primary: SqlClient,
  standby: SqlClient,
  name: string,
): Promise<AttachProgress> {
  // The standby first: what it has replayed by then the primary has written.
  const { replayed } = await standby.one<{ replayed: string }>(
    `SELECT coalesce(pg_last_wal_replay_lsn()::text, '') AS replayed`,
  )
  const [receiver] = await standby.query<{ status: string }>(
    'SELECT status FROM pg_stat_wal_receiver',
  )
  const { isAhead } = await primary.one<{ isAhead: boolean }>(
    `SELECT CASE WHEN pg_is_in_recovery() THEN false
                 ELSE coalesce(nullif($1, '')::pg_lsn > pg_current_wal_flush_lsn(), false) END AS "isAhead"`,
    [replayed],
  )
  const [sender] = await primary.query<{ state: string; sent: string }>(
    `SELECT state, coalesce(sent_lsn::text, '') AS sent FROM pg_stat_replication WHERE application_name = $1`,
    [name],
  )
  return {
    isStreaming: sender?.state === 'streaming' && receiver?.status === 'streaming',
    isAhead,
    position: `${sender?.sent ?? ''} ${replayed}`,
  }
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

/**
 * Throws what the log says, or how many milliseconds that may last without being a failure: 0 when
 * it says nothing.
 */
async function judgeReason(
  context: ClusterContext,
  pair: ReplicationPair,
  seen: { readonly logBefore: LogPlace | undefined; readonly stillMs: number },
): Promise<number> {
  const { standby, primary } = pair
  const now = await findLog(context, standby)
  if (now === undefined) return 0
  const machine = await context.machineOf(standby)
  const messages = logMessages(await readLog(machine, now, seen.logBefore))
  const reasons = REASONS.flatMap((reason) => {
    const message = messages.findLast((text) => reason.text.test(text))
    return message === undefined ? [] : [{ ...reason, message }]
  })
  const [reason] = reasons
  if (reason === undefined) return 0
  const { passesWithinMs = 0 } = reason
  if (seen.stillMs <= passesWithinMs) return passesWithinMs
  throw new BackstayError(
    reason.code,
    `Standby "${standby.name}" cannot stream from "${primary.name}": its log says: ${reason.message}`,
    { hint: reason.hint.replaceAll('<standby>', standby.name) },
  )
}

function ahead({ standby, primary }: ReplicationPair): BackstayError {
  return new BackstayError(
    'POSTGRES_IDENTITY',
    `Standby "${standby.name}" cannot stream from "${primary.name}": ${AHEAD} there, so one of the two was set back to an older state`,
    {
      hint: `Find out which one holds the data you want; then: backstay rejoin ${standby.name}.`,
    },
  )
}

function stalled({ standby, primary }: ReplicationPair): BackstayError {
  return new BackstayError(
    'TIMEOUT',
    `Standby "${standby.name}" did not begin to stream from "${primary.name}": nothing moved for ${STALL_MS / 1000} s`,
    { hint: `See the log of "${standby.name}" in ${standby.directory}/log.` },
  )
}
