/**
 * Whether a server's WAL is a beginning of the primary's, so that it can go on from there, or went another way.
 */
import { posix } from 'node:path'
import { formatLsn, type Lsn } from '../../postgres/lsn.ts'
import { isAncestor, switchPointOf, type TimelineHistory } from '../../postgres/timeline.ts'
import { ReplicationConnection } from '../../wire/replication-connection.ts'
import type { WalPosition } from '../../wal/wal-position.ts'
import type { ClusterContext } from '../context.ts'
import { roleConnection } from '../look/connect.ts'
import type { ServerWanted } from '../wanted.ts'
import { readControl, readShutdownEnd } from './shutdown-record.ts'
import { endOfWal } from './wal-sources.ts'

/** Where the primary is, and how it came there. */
export interface PrimaryLine {
  readonly history: TimelineHistory
  readonly flushLsn: Lsn
}

/** The judgement, with its reason in one sentence without full stop. */
export interface Lineage {
  readonly kind: 'same' | 'diverged'
  readonly reason: string
  /** Where the two part, when they do and it can be told. */
  readonly forkLsn: Lsn | undefined
}

/** Asks the primary over the replication protocol, which also proves that a standby may come in. */
export async function primaryLine(
  context: ClusterContext,
  primary: ServerWanted,
): Promise<PrimaryLine> {
  const { signal } = context
  await context.reach(primary)
  const options = roleConnection(context, primary, context.wanted.replication.role)
  await using connection = await ReplicationConnection.connect(options)
  const { timeline, flushLsn } = await connection.identifySystem({ signal })
  if (timeline === 1) return { history: { timeline, switches: [] }, flushLsn }
  const { history } = await connection.timelineHistory(timeline, { signal })
  return { history, flushLsn }
}

/** Where the WAL of a stopped server ends; undefined when it does not hold the WAL it would start from. */
export async function endOfStopped(
  context: ClusterContext,
  server: ServerWanted,
): Promise<WalPosition | undefined> {
  const control = await readControl(context, server)
  if (control.state === 'shut down') {
    const { timeline, endLsn } = await readShutdownEnd(context, server)
    return { timeline, lsn: endLsn }
  }
  const { segmentBytes, checkpoint, minRecoveryTimeline } = control
  const timeline = Math.max(checkpoint.timeline, minRecoveryTimeline)
  const { host } = await context.machineOf(server)
  const readSegment = async (name: string): Promise<Buffer | undefined> =>
    host.readFile(posix.join(server.directory, 'pg_wal', name))
  const lsn = await endOfWal(readSegment, { timeline, lsn: checkpoint.redoLsn, segmentBytes })
  return lsn === undefined ? undefined : { timeline, lsn }
}

/** Judges. Pure. Source of the rule: reachedEndOfRecovery in xlogrecovery.c: a standby may not be past the fork. */
export function judgeLineage(end: WalPosition | undefined, primary: PrimaryLine): Lineage {
  if (end === undefined) return diverged('the WAL it would start from is gone', undefined)
  const { history, flushLsn } = primary
  const here = `its WAL ends at ${formatLsn(end.lsn)} on timeline ${end.timeline}`
  if (!isAncestor(history, end.timeline)) {
    return diverged(`${here}, which the primary has never been on`, undefined)
  }
  const left = switchPointOf(history, end.timeline)
  if (left === undefined) {
    if (end.lsn <= flushLsn) return { kind: 'same', reason: here, forkLsn: undefined }
    return diverged(`${here}, the primary's only at ${formatLsn(flushLsn)}`, undefined)
  }
  if (end.lsn <= left) return { kind: 'same', reason: here, forkLsn: undefined }
  return diverged(`${here}, which the primary left at ${formatLsn(left)}`, left)
}

function diverged(reason: string, forkLsn: Lsn | undefined): Lineage {
  return { kind: 'diverged', reason, forkLsn }
}
