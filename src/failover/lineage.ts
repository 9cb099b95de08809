/**
 * Whether a server's WAL is a beginning of the primary's, so that it can go on from there, or went
 * another way.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { formatLsn, type Lsn } from '../postgres/lsn.ts'
import { forkOf, isLineOf, switchPointOf, type TimelineHistory } from '../postgres/timeline.ts'
import { ReplicationConnection } from '../wire/replication-connection.ts'
import type { WalPosition } from '../wal/wal-position.ts'
import type { ClusterContext } from '../cluster/context.ts'
import { roleConnection } from '../cluster/look/connect.ts'
import type { ServerWanted } from '../cluster/wanted.ts'
import { readControl, readShutdownEnd } from './shutdown-record.ts'
import type { MemberFound } from '../cluster/leader.ts'
import { type Line, lineOf } from './line.ts'
import { matchWal } from './same-wal.ts'
import { reachOfWal, type WalReader } from './wal-reach.ts'
import { directoryReader } from './wal-readers.ts'
import { wantedServer } from '../cluster/wanted-server.ts'

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
  /** Whether pg_rewind would find that place: it looks at timelines only. */
  readonly isRewindable: boolean
  /**
   * Whether the WAL itself was compared. False where one of the two has none of it any more: then
   * `same` says only where they are.
   */
  readonly isCompared: boolean
}

/** Asks the primary over the replication protocol, which also proves that a standby may come in. */
async function primaryLine(context: ClusterContext, primary: ServerWanted): Promise<PrimaryLine> {
  const { signal } = context
  await context.reach(primary)
  const options = roleConnection(context, primary, context.wanted.replication.role)
  await using connection = await ReplicationConnection.connect(options)
  const { timeline, flushLsn } = await connection.identifySystem({ signal })
  if (timeline === 1) return { history: { timeline, switches: [] }, flushLsn }
  const { history } = await connection.timelineHistory(timeline, { signal })
  return { history, flushLsn }
}

/**
 * Where the WAL of a stopped server ends; undefined when it does not hold the WAL it would start
 * from.
 * @param line that its directory is on.
 * @throws NOT_READY when more of it may follow than can be read.
 */
export async function endOfStopped(
  context: ClusterContext,
  server: ServerWanted,
  line: Line,
): Promise<WalPosition | undefined> {
  const control = await readControl(context, server)
  if (control.state === 'shut down') {
    const { timeline, endLsn } = await readShutdownEnd(context, server)
    return { timeline, lsn: endLsn }
  }
  const { segmentBytes, checkpoint } = control
  const { timeline, history } = line
  const reader = await directoryReader(context, server, segmentBytes)
  const standing = { timeline, history, lsn: checkpoint.redoLsn, segmentBytes }
  const reach = await reachOfWal(reader, standing)
  if (reach === undefined) return undefined
  const isShort = reach.endLsn <= checkpoint.lsn
  const doubt = isShort ? `it ends before its last checkpoint` : reach.doubt
  if (doubt === undefined) return { timeline, lsn: reach.endLsn }
  throw new BackstayError('NOT_READY', `The WAL of "${server.name}" is not whole: ${doubt}`)
}

/**
 * Judges. Pure. Source of the rule: reachedEndOfRecovery in xlogrecovery.c: a standby may not be
 * past the fork.
 * @param own how the server came to its timeline; undefined when that cannot be told.
 */
export function judgeLineage(
  end: WalPosition | undefined,
  own: TimelineHistory | undefined,
  primary: PrimaryLine,
): Lineage {
  if (end === undefined) return diverged('the WAL it would start from is gone', undefined)
  const { history, flushLsn } = primary
  const here = `its WAL ends at ${formatLsn(end.lsn)} on timeline ${end.timeline}`
  if (own === undefined || !isLineOf(history, { ...own, timeline: end.timeline })) {
    return diverged(`${here}, which the primary has never been on`, own && forkOf(own, history))
  }
  const left = switchPointOf(history, end.timeline)
  if (left === undefined) {
    if (end.lsn <= flushLsn) return same(here)
    return partedWithin(`${here}, the primary's only at ${formatLsn(flushLsn)}`)
  }
  if (end.lsn <= left) return same(here)
  return diverged(`${here}, which the primary left at ${formatLsn(left)}`, left)
}

/**
 * Whether it is proved that all that a standby holds is the primary's, too.
 * @throws when it cannot be told.
 */
export async function isBeginningOf(
  context: ClusterContext,
  standby: MemberFound,
  primary: ServerWanted,
): Promise<boolean> {
  const judged = await judgeMember(context, standby)
  const { kind, isCompared } = await lineageOf(context, judged, primary)
  return kind === 'same' && isCompared
}

/** What a member is judged by. @throws when it cannot be told. */
export async function judgeMember(
  context: ClusterContext,
  member: MemberFound,
): Promise<JudgedServer> {
  const own = await lineOf(context, member)
  const server = wantedServer(context.wanted, member.name)
  return { server, end: await endOfMember(context, member, own), own }
}

/** Where its WAL ends, stopped or running. @throws when it cannot be told. */
export async function endOfMember(
  context: ClusterContext,
  member: MemberFound,
  own: Line,
): Promise<WalPosition | undefined> {
  if (member.running !== undefined) return receivedOf(own)
  return await endOfStopped(context, wantedServer(context.wanted, member.name), own)
}

/** What is known of a server when it is judged. */
export interface JudgedServer {
  readonly server: ServerWanted
  /** Undefined when it cannot be told. */
  readonly end: WalPosition | undefined
  readonly own: Line
  /** Who is read in the place of its directory: WAL that it is to be given. */
  readonly reader?: Pick<WalReader, 'readSegment'>
}

/**
 * Judges, and where timelines and positions agree compares the WAL itself.
 * @throws what asking and reading throw.
 */
export async function lineageOf(
  context: ClusterContext,
  judged: JudgedServer,
  primary: ServerWanted,
): Promise<Lineage> {
  const { server, end, own } = judged
  const line = await primaryLine(context, primary)
  const lineage = judgeLineage(end, own.history, line)
  if (lineage.kind !== 'same' || end === undefined) return lineage
  const { segmentBytes } = await readControl(context, server)
  const readerOf = async (whose: ServerWanted) => directoryReader(context, whose, segmentBytes)
  const { timeline, history } = own
  const reader = judged.reader ?? (await readerOf(server))
  const mine = { reader, standing: { timeline, history, segmentBytes } }
  const { history: theirs, flushLsn } = line
  const standing = { timeline: theirs.timeline, history: theirs, segmentBytes }
  const place = { reader: await readerOf(primary), standing }
  const match = await matchWal(mine, place, { lsn: end.lsn, flushLsn })
  if (match !== 'different') return { ...lineage, isCompared: match === 'same' }
  return partedWithin(`${lineage.reason}, and what comes before that is not the primary's WAL`)
}

/** What a running standby has; undefined for one that does not answer. */
function receivedOf({ timeline, hasLsn }: Line): WalPosition | undefined {
  return hasLsn === undefined ? undefined : { timeline, lsn: hasLsn }
}

function diverged(reason: string, forkLsn: Lsn | undefined): Lineage {
  return { kind: 'diverged', reason, forkLsn, isRewindable: true, isCompared: false }
}

/**
 * One of the two was set back to an older state: the timeline is one, and nothing says where they
 * parted.
 */
function partedWithin(reason: string): Lineage {
  return { kind: 'diverged', reason, forkLsn: undefined, isRewindable: false, isCompared: false }
}

function same(reason: string): Lineage {
  return { kind: 'same', reason, forkLsn: undefined, isRewindable: true, isCompared: false }
}
