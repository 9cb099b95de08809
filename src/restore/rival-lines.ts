/**
 * Which line was alive at a moment. A timeline holds nothing of the time before it was born but
 * what its parent had up to the fork; if the parent, or another branch, went on after the fork, the
 * rows of that time are there.
 */
import type { Lsn } from '../postgres/lsn.ts'
import { isAncestor, switchPointOf, type TimelineHistory } from '../postgres/timeline.ts'
import type { ContinuityMap } from '../wal/continuity.ts'
import { forkOf } from '../wal/production-line.ts'
import { endOfHeld, heldAlong, historyOrOwn, pathFrom } from './timeline-path.ts'
import { findFirst, type WalReading } from './record-search.ts'

/** What is asked about: every timeline that is known, and the WAL to read. */
export interface LineSources {
  readonly map: ContinuityMap
  readonly wal: WalReading
  /** Ascending. */
  readonly known: readonly number[]
}

/** Where a line stood at a moment. */
export interface LineStanding {
  /**
   * When the part of the line that follows the moment was born; undefined when the line itself was
   * alive.
   */
  readonly bornUs: bigint | undefined
  /** Other timelines that hold transactions of between the fork and the moment. Ascending. */
  readonly rivals: readonly number[]
}

/**
 * Judges the line to `history` at `timeUs`. Reads the first segments of its timelines, and where it
 * was not alive, of others.
 */
export async function standingAt(
  history: TimelineHistory,
  timeUs: bigint,
  sources: LineSources,
): Promise<LineStanding> {
  let bornUs: bigint | undefined
  let alive = history.timeline
  for (const { timeline, switchLsn } of history.switches.toReversed()) {
    const born = await birthOf(alive, switchLsn, sources)
    if (born === undefined || born <= timeUs) break
    bornUs = born
    alive = timeline
  }
  if (bornUs === undefined) return { bornUs, rivals: [] }
  const rivals: number[] = []
  for (const timeline of sources.known) {
    const other = historyOrOwn(sources.map, timeline)
    if (timeline !== alive && isAncestor(history, timeline)) continue
    if (await isRival(history, other, { timeUs, sources })) rivals.push(timeline)
  }
  return { bornUs, rivals: withoutAncestors(rivals, sources.map) }
}

/**
 * When a timeline was born: the time of the record its promotion wrote. Undefined when that is not
 * held.
 */
export async function birthOf(
  timeline: number,
  switchLsn: Lsn,
  { map, wal }: LineSources,
): Promise<bigint | undefined> {
  const path = [{ timeline, from: switchLsn, to: undefined }] as const
  const to = endOfHeld(heldAlong(path, map), switchLsn)
  const born = await findFirst(wal, { path, from: switchLsn, to }, { find: 'promotion' })
  return born?.timeUs
}

/**
 * Whether another line was alive at the moment and has a transaction that ended after it left
 * `history` and until then.
 */
async function isRival(
  history: TimelineHistory,
  other: TimelineHistory,
  { timeUs, sources }: { timeUs: bigint; sources: LineSources },
): Promise<boolean> {
  const { map, wal } = sources
  const own = other.switches.at(-1)
  const from = forkOf(history, other)
  if (from === undefined) return false
  const isOwn = own === undefined || own.switchLsn <= from
  if (!isOwn && own !== undefined) {
    const born = await birthOf(other.timeline, own.switchLsn, sources)
    if (born !== undefined && born > timeUs) return false
  }
  const timeline = other.switches.find(({ switchLsn }) => from < switchLsn)?.timeline
  const start = { timeline: timeline ?? other.timeline, startLsn: from, stopLsn: from }
  const path = pathFrom(start, other)
  if (path === undefined) return false
  const to = endOfHeld(heldAlong(path, map), from)
  const any = { find: 'time', timeUs: 0n, orAt: true } as const
  const first = await findFirst(wal, { path, from, to }, any)
  return first?.timeUs !== undefined && first.timeUs <= timeUs
}

/** Of a line and one that simply goes on from it only the longer counts. */
function withoutAncestors(rivals: readonly number[], map: ContinuityMap): number[] {
  return rivals.filter(
    (timeline) =>
      !rivals.some((other) => {
        const leftAt = switchPointOf(historyOrOwn(map, other), timeline)
        const end = map.ranges.get(timeline)?.at(-1)?.endLsn
        return other !== timeline && leftAt !== undefined && (end === undefined || end <= leftAt)
      }),
  )
}
