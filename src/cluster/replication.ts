/**
 * How far each standby is behind, from what both ends say. Pure; shared by status, verify and check.
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

/** Compares. The primary's position counts, not the standby's own opinion: a detached one believes it has everything. */
export function replicationOf(
  primary: AnsweringServer | undefined,
  standby: ServerFound,
): ReplicationFound {
  const sender = primary?.sql.senders.find((row) => row.applicationName === standby.name)
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

/** Never below zero: the primary was asked a moment before or after the standby. */
function behind(current: Lsn | undefined, reached: Lsn | undefined): number | undefined {
  if (current === undefined || reached === undefined) return undefined
  return Math.max(0, bytesBetween(reached, current))
}

/**
 * Seconds behind. «Everything replayed means no delay» holds only while WAL really arrives: a standby whose
 * walreceiver died has replayed all it has, too. Then its delay is the age of the last commit it knows.
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
