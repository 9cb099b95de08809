/**
 * How far each standby is behind, from what both ends say. Pure; shared by status, verify and
 * check.
 */
import { bytesBetween, type Lsn } from '../postgres/lsn.ts'
import type { ClusterFound, ServerFound } from './found.ts'
import type { PositionFound, SenderFound, SlotFound, SqlFound } from './found-sql.ts'
import { slotNameOf } from './names.ts'

/** A running server that answered. */
export type AnsweringServer = ServerFound & { readonly sql: SqlFound }

/** One standby against its primary. */
export interface ReplicationFound {
  readonly sender: SenderFound | undefined
  readonly slot: SlotFound | undefined
  /** Bytes of WAL the standby has not received; undefined when it cannot be said. */
  readonly receiveLagBytes: number | undefined
  /** Bytes of WAL the standby has not replayed. */
  readonly replayLagBytes: number | undefined
  /** How old what a reader sees there is; undefined when it cannot be said. */
  readonly replayLagMs: number | undefined
}

/** Whether a server runs and answers over SQL. */
export function isAnswering(server: ServerFound | undefined): server is AnsweringServer {
  return server?.sql !== undefined
}

/** The primary that answers; undefined when none or more than one does. */
export function answeringPrimary(found: ClusterFound): AnsweringServer | undefined {
  const primaries = found.servers.filter(isAnswering).filter(({ sql }) => !sql.inRecovery)
  return primaries.length === 1 ? primaries[0] : undefined
}

/**
 * Compares. The primary's position counts, not the standby's own opinion: a detached one believes
 * it has everything.
 */
export function replicationOf(
  primary: AnsweringServer | undefined,
  standby: ServerFound,
): ReplicationFound {
  const sender = senderOf(primary, standby)
  const slot = primary?.sql.slots.find((row) => row.name === slotNameOf(standby.name))
  const current = primary?.sql.position.current
  const position = standby.sql?.position
  return {
    sender,
    slot,
    receiveLagBytes: behind(current, sender?.flushLsn ?? position?.received),
    replayLagBytes: behind(current, sender?.replayLsn ?? position?.replayed),
    replayLagMs: replayLagMs(primary, standby, sender),
  }
}

/** What a walreceiver calls itself when neither primary_conninfo nor cluster_name names it. */
const UNNAMED = 'walreceiver'

/**
 * The sender that has the standby's name. A standby that streams and was attached by hand has none:
 * then it is the one that nobody named, when there is only one.
 */
function senderOf(
  primary: AnsweringServer | undefined,
  { name, sql }: ServerFound,
): SenderFound | undefined {
  const senders = primary?.sql.senders ?? []
  const named = senders.find((row) => row.applicationName === name)
  if (named !== undefined || sql?.receiver?.status !== 'streaming') return named
  const own = sql.settings.get('cluster_name')?.value
  const fallback = own === undefined || own === '' ? UNNAMED : own
  const unnamed = senders.filter((row) => row.applicationName === fallback)
  return unnamed.length === 1 ? unnamed[0] : undefined
}

/**
 * Whether a standby has replayed what the primary has not written: one of the two was set back to
 * an older state, and where their positions meet again they hold other rows. It may stream all the
 * same.
 */
export function isAhead(primary: SqlFound | undefined, standby: ServerFound): boolean {
  const { sql, name } = standby
  if (primary === undefined || sql?.inRecovery !== true) return false
  const sender = primary.senders.find((row) => row.applicationName === name)
  if (sender !== undefined) return sender.isAhead === true
  // One that streams may have been asked a moment later than the primary.
  const { current } = primary.position
  const { replayed } = sql.position
  const isAttached = sql.receiver?.status === 'streaming' || sql.timeline !== primary.timeline
  return !isAttached && current !== undefined && replayed !== undefined && replayed > current
}

/** For messages: `… on "db1"`. */
export const AHEAD = 'it has replayed WAL that is not'

/** Never below zero: the primary was asked a moment before or after the standby. */
function behind(current: Lsn | undefined, reached: Lsn | undefined): number | undefined {
  if (current === undefined || reached === undefined) return undefined
  return Math.max(0, bytesBetween(reached, current))
}

/**
 * Seconds behind. «Everything replayed means no delay» holds only while WAL really arrives: a
 * standby whose walreceiver died has replayed all it has, too. Then its delay is the age of the
 * last commit it knows.
 */
function replayLagMs(
  primary: AnsweringServer | undefined,
  standby: ServerFound,
  sender: SenderFound | undefined,
): number | undefined {
  if (standby.sql === undefined) return undefined
  const { position, receiver } = standby.sql
  if (sender?.state !== 'streaming' || receiver?.status !== 'streaming')
    return commitAgeMs(position)
  const isEven = behind(primary?.sql.position.current, position.replayed) === 0
  if (isEven || position.received === position.replayed) return sender.replayLagMs ?? 0
  return sender.replayLagMs ?? commitAgeMs(position)
}

function commitAgeMs({ replayedCommitAtMs, answeredAtMs }: PositionFound): number | undefined {
  return replayedCommitAtMs === undefined
    ? undefined
    : Math.max(0, answeredAtMs - replayedCommitAtMs)
}
