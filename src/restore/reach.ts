/**
 * Whether one backup can be rolled forward to a target, where recovery then ends, and if not, why
 * and what is nearest. The rules are those of recovery itself (PostgreSQL
 * src/backend/access/transam/xlogrecovery.c, recoveryStopsBefore and recoveryStopsAfter): a target
 * before consistency is fatal, and so is running out of WAL before the target (13+).
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { addBytes, formatLsn, type Lsn } from '../postgres/lsn.ts'
import type { BackupId, BackupInfo } from '../repository/backup-info.ts'
import { spellIsoTime, spellTimeUs } from '../util/local-time.ts'
import type { ContinuityMap } from '../wal/continuity.ts'
import {
  endOfHeld,
  heldAlong,
  resumesAfter,
  timelineAt,
  type TimelinePath,
} from './timeline-path.ts'
import {
  findFirst,
  findFirstAfter,
  findLastRecord,
  findLastTransaction,
  type FoundPlace,
  type WalQuestion,
  type WalReading,
} from './record-search.ts'
import { describeTarget, type RestoreTarget } from './wish.ts'

/** A moment that can be restored. */
export interface Moment {
  /** The timeline to follow to get there; the moment may lie on one of its ancestors. */
  readonly timeline: number
  readonly lsn: Lsn
  /** When it was, if that is known. */
  readonly timeUs: bigint | undefined
  readonly backup: BackupId
}

const REFUSAL_KINDS = [
  'timeline',
  'born-later',
  'wal-missing',
  'too-early',
  'gap',
  'after-end',
  'not-found',
] as const

/** Why a backup cannot serve a target. */
export interface Refusal {
  /**
   * `timeline`: the wanted one does not descend from the backup · `born-later`: the rows of that
   * time are on another timeline · `wal-missing`: WAL of the backup itself is lost · `too-early`:
   * before the backup was consistent · `gap`: behind lost WAL · `after-end`: later than all WAL ·
   * `not-found`: no such transaction or restore point.
   */
  readonly kind: (typeof REFUSAL_KINDS)[number]
  /** Half a sentence: why. */
  readonly because: string
  /** The nearest moments before and after the target. */
  readonly earlier?: Moment | undefined
  readonly later?: Moment | undefined
}

/** Where recovery ends, and the target as PostgreSQL must be told it. */
export interface Reached {
  readonly target: RestoreTarget
  /** Recovery reads WAL up to here. */
  readonly endLsn: Lsn
  readonly timeUs: bigint | undefined
  readonly notes: readonly string[]
}

/** What can be said of one backup. */
export type ReachVerdict =
  | ({ readonly reachable: true } & Reached)
  | { readonly reachable: false; readonly refusal: Refusal }

/** A backup with the path to take from it. */
export interface BackupCandidate {
  readonly backup: BackupInfo
  readonly path: TimelinePath
}

/** What judging needs besides the candidate. */
export interface ReachContext {
  readonly map: ContinuityMap
  readonly wal: WalReading
  /**
   * Everything that was committed before this moment is known to be held; undefined when nobody
   * knows.
   */
  readonly currentAtUs: bigint | undefined
  /**
   * Searches forwards for a transaction or a restore point; shared by the candidates, which search
   * the same WAL.
   */
  find(
    path: TimelinePath,
    question: WalQuestion,
    range: { from: Lsn; to: Lsn },
  ): Promise<FoundPlace | undefined>
}

/** A candidate with what is held along its path. */
interface HeldCandidate extends BackupCandidate {
  /** First byte recovery does not have. */
  readonly endLsn: Lsn
  /** Where WAL goes on behind a hole at `endLsn`. */
  readonly resumesLsn: Lsn | undefined
}

const PAGE_BYTES = 8192n
/** A page's header: a position reported right after a page border already counts it. */
const PAGE_HEADER_BYTES = 40n

/**
 * Whether `target` can be reached from one backup, and where recovery ends then; otherwise why not,
 * and which moments are nearest.
 * @throws {BackstayError} what reading WAL throws
 */
export async function judge(
  candidate: BackupCandidate,
  target: RestoreTarget,
  context: ReachContext,
): Promise<ReachVerdict> {
  const { backup, path } = candidate
  const stretches = heldAlong(path, context.map)
  const endLsn = endOfHeld(stretches, backup.startLsn)
  const held = { ...candidate, endLsn, resumesLsn: resumesAfter(path, stretches, endLsn) }
  if (endLsn < backup.stopLsn) return refuse({ kind: 'wal-missing', because: ownWalMissing(held) })
  switch (target.type) {
    case 'none':
      return judgeNone(held)
    case 'immediate':
      return reach({ target, endLsn: backup.stopLsn, timeUs: finishedUs(backup), notes: [] })
    case 'time':
      return judgeTime(held, target, context)
    case 'lsn':
      return judgeLsn(held, target, context)
    case 'xid':
    case 'name':
      break
  }
  return judgeRecord(held, target, context)
}

/** The end of a backup as a moment: the first that can be restored from it. */
export function endOfBackup({ backup, path }: BackupCandidate): Moment {
  const timeUs = finishedUs(backup)
  return { timeline: goalOf(path), lsn: backup.stopLsn, timeUs, backup: backup.id }
}

/** The timeline a path leads to. */
export function goalOf(path: TimelinePath): number {
  return (path.at(-1) ?? path[0]).timeline
}

/** When a backup was finished, in microseconds. */
function finishedUs(backup: BackupInfo): bigint {
  return BigInt(Date.parse(backup.finishedAt)) * 1000n
}

function judgeNone(held: HeldCandidate): ReachVerdict {
  if (held.resumesLsn !== undefined) {
    return refuse({ kind: 'gap', because: describeGap(held), earlier: momentAt(held, held.endLsn) })
  }
  return reach({ target: { type: 'none' }, endLsn: held.endLsn, timeUs: undefined, notes: [] })
}

async function judgeTime(
  held: HeldCandidate,
  target: Extract<RestoreTarget, { type: 'time' }>,
  context: ReachContext,
): Promise<ReachVerdict> {
  const { backup, path, endLsn } = held
  const { timeUs, inclusive } = target
  const during = { path, from: backup.startLsn, to: backup.stopLsn }
  const early = { kind: 'too-early', later: endOfBackup(held) } as const
  if (timeUs < finishedUs(backup)) {
    return refuse({
      ...early,
      because: `backup ${backup.id} ended at ${spellIsoTime(backup.finishedAt)} only`,
    })
  }
  const latest = (await findLastTransaction(context.wal, during))?.latestTimeUs
  if (latest !== undefined && (inclusive ? latest > timeUs : latest >= timeUs)) {
    const because = `backup ${backup.id} already holds a transaction of ${spellTimeUs(latest)}`
    return refuse({ ...early, because })
  }
  const after = { path, from: backup.stopLsn, to: endLsn }
  const question = { find: 'time', timeUs, orAt: !inclusive } as const
  const stop = await findFirstAfter(context.wal, after, question)
  if (stop !== undefined) return reach({ target, endLsn: stop.endLsn, timeUs, notes: [] })
  return judgeTimeAtEnd(held, target, context)
}

/**
 * No transaction ended after the time. If one ended at it, or it is known that no other ended until
 * then, the end of WAL is that moment; PostgreSQL must be told so by position, because it would
 * look for a later transaction in vain.
 */
async function judgeTimeAtEnd(
  held: HeldCandidate,
  target: Extract<RestoreTarget, { type: 'time' }>,
  context: ReachContext,
): Promise<ReachVerdict> {
  const range = { path: held.path, from: held.backup.startLsn, to: held.endLsn }
  const lastUs = (await findLastTransaction(context.wal, range))?.latestTimeUs
  const isGap = held.resumesLsn !== undefined
  const known = [lastUs, isGap ? undefined : context.currentAtUs]
  const isKnown = known.some((timeUs) => timeUs !== undefined && target.timeUs <= timeUs)
  const last = isKnown ? await findLastRecord(context.wal, range) : undefined
  if (last !== undefined) {
    const note = `No later transaction is held than that of ${describeTarget(target)}, so recovery ends at the last record held`
    return reach(endAtRecord(last, lastUs, note))
  }
  const earlier = momentAt(held, held.endLsn, lastUs)
  if (isGap) return refuse({ kind: 'gap', because: describeGap(held), earlier })
  const lastText =
    lastUs === undefined ? 'no transaction' : `a transaction of ${spellTimeUs(lastUs)}`
  const because = `WAL ends at ${describeEnd(held)} with ${lastText}, and nothing proves that none came between`
  return refuse({ kind: 'after-end', because, earlier })
}

async function judgeLsn(
  held: HeldCandidate,
  target: Extract<RestoreTarget, { type: 'lsn' }>,
  context: ReachContext,
): Promise<ReachVerdict> {
  const { backup, path, endLsn } = held
  if (target.lsn < backup.stopLsn) {
    const because = `backup ${backup.id} is consistent from ${formatLsn(backup.stopLsn)} on`
    return refuse({ kind: 'too-early', because, later: endOfBackup(held) })
  }
  if (target.lsn > endLsn && !isInPageHeader(endLsn, target.lsn)) {
    const earlier = momentAt(held, endLsn)
    const isGap = held.resumesLsn !== undefined
    const because = isGap ? describeGap(held) : `WAL ends at ${describeEnd(held)}`
    return refuse({ kind: isGap ? 'gap' : 'after-end', because, earlier })
  }
  const behind = { path, from: target.lsn, to: endLsn }
  const stop = await findFirst(context.wal, behind, { find: 'record' })
  if (stop !== undefined)
    return reach({ target, endLsn: stop.endLsn, timeUs: undefined, notes: [] })
  const last = await findLastRecord(context.wal, { path, from: backup.startLsn, to: endLsn })
  if (last === undefined) throw new BackstayError('BUG', 'A backup has no WAL record')
  const note = `No record begins at or after LSN ${formatLsn(target.lsn)} yet, so recovery ends at the last record before it`
  return reach(endAtRecord(last, undefined, note))
}

async function judgeRecord(
  held: HeldCandidate,
  target: Extract<RestoreTarget, { type: 'xid' | 'name' }>,
  context: ReachContext,
): Promise<ReachVerdict> {
  const { backup, path, endLsn } = held
  const question: WalQuestion =
    target.type === 'xid'
      ? { find: 'transaction', xid: target.xid }
      : { find: 'restore-point', name: target.name }
  const found = await context.find(path, question, { from: backup.startLsn, to: endLsn })
  if (found === undefined) {
    const where = `WAL from ${formatLsn(backup.startLsn)} to ${describeEnd(held)}`
    const gap = held.resumesLsn === undefined ? '' : `; ${describeGap(held)}`
    const because = `${describeTarget(target)} is not in the ${where}${gap}`
    const earlier = momentAt(held, endLsn)
    return refuse({ kind: held.resumesLsn === undefined ? 'not-found' : 'gap', because, earlier })
  }
  if (found.startLsn < backup.stopLsn) {
    const because = `it is at ${formatLsn(found.startLsn)}, before backup ${backup.id} is consistent`
    return refuse({ kind: 'too-early', because, later: endOfBackup(held) })
  }
  return reach({ target, endLsn: found.endLsn, timeUs: found.timeUs, notes: [] })
}

/**
 * Recovery stops after the first record that begins at or after an LSN target; here that is the
 * last one there is.
 */
function endAtRecord(
  last: { startLsn: Lsn; endLsn: Lsn },
  timeUs: bigint | undefined,
  note: string,
): Reached {
  const target = { type: 'lsn', lsn: last.startLsn, inclusive: true } as const
  return { target, endLsn: last.endLsn, timeUs, notes: [note] }
}

function isInPageHeader(endLsn: Lsn, lsn: Lsn): boolean {
  return endLsn % PAGE_BYTES === 0n && lsn <= addBytes(endLsn, PAGE_HEADER_BYTES)
}

function momentAt(held: HeldCandidate, lsn: Lsn, timeUs?: bigint): Moment {
  return { timeline: goalOf(held.path), lsn, timeUs, backup: held.backup.id }
}

function describeEnd(held: HeldCandidate): string {
  // The byte before the end tells the timeline: the end itself may be where the next one begins.
  const timeline = timelineAt(held.path, addBytes(held.endLsn, -1))
  return `${formatLsn(held.endLsn)} on timeline ${timeline}`
}

function describeGap(held: HeldCandidate): string {
  const to = held.resumesLsn
  const lost = to === undefined || to === held.endLsn ? 'on' : `to ${formatLsn(to)}`
  const timeline = timelineAt(held.path, held.endLsn)
  return `WAL of timeline ${timeline} from ${formatLsn(held.endLsn)} ${lost} is missing`
}

function ownWalMissing(held: HeldCandidate): string {
  const { backup, endLsn } = held
  return `backup ${backup.id} needs WAL up to ${formatLsn(backup.stopLsn)}, but WAL from ${formatLsn(endLsn)} on is missing`
}

function refuse(refusal: Refusal): ReachVerdict {
  return { reachable: false, refusal }
}

function reach(reached: Reached): ReachVerdict {
  return { reachable: true, ...reached }
}
