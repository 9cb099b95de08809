/**
 * The continuity map: which WAL is held without a hole, timeline by timeline, and how far recovery
 * can get with it. Pure: `load-continuity.ts` gathers what is held, this file judges it.
 */
import { addBytes, type Lsn } from '../postgres/lsn.ts'
import { type Segment, segmentStart } from '../postgres/segment-name.ts'
import {
  isAncestor,
  switchPointOf,
  type TimelineHistory,
  timelineOf,
} from '../postgres/timeline.ts'
import { without } from './released-wal.ts'
import { earlierLsn, segmentFloor, type WalPosition, type WalRange } from './wal-position.ts'

/** Everything held of one cluster's WAL, in any order. */
export interface WalHoldings {
  readonly segmentBytes: number
  /** Finished segments, in the repository or waiting in the spool. */
  readonly segments: Iterable<Segment>
  /**
   * Beginnings of unfinished segments: `.partial` objects and the receiver's spool up to its last
   * synced byte.
   */
  readonly tails: readonly WalRange[]
  /** The history files held; timeline 1 needs none. */
  readonly histories: readonly TimelineHistory[]
  /** Held, but recovery cannot pass them: they count as holes. */
  readonly barriers?: readonly WalRange[]
  /** Objects that cannot be used: what they hold counts as not held. */
  readonly damaged?: readonly string[]
}

/** What is held, joined to ranges. */
export interface ContinuityMap {
  readonly segmentBytes: number
  /** Ranges of each timeline, ascending, none touching the next. Timelines ascending. */
  readonly ranges: ReadonlyMap<number, readonly WalRange[]>
  readonly histories: ReadonlyMap<number, TimelineHistory>
  /** Objects that cannot be used, by name. */
  readonly damaged?: readonly string[]
}

/** Joins what is held to ranges. */
export function buildContinuityMap(holdings: WalHoldings): ContinuityMap {
  const { segmentBytes } = holdings
  const pieces: WalRange[] = [...holdings.tails]
  for (const segment of holdings.segments) {
    const startLsn = segmentStart(segment, segmentBytes)
    pieces.push({
      timeline: segment.timeline,
      startLsn,
      endLsn: addBytes(startLsn, segmentBytes),
    })
  }
  pieces.sort((a, b) => a.timeline - b.timeline || compare(a.startLsn, b.startLsn))
  return {
    segmentBytes,
    ranges: joinRanges(without(pieces, holdings.barriers ?? [])),
    histories: new Map(holdings.histories.map((history) => [history.timeline, history])),
    damaged: holdings.damaged ?? [],
  }
}

function compare(a: Lsn, b: Lsn): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

function joinRanges(sorted: readonly WalRange[]): Map<number, WalRange[]> {
  const joined = new Map<number, WalRange[]>()
  for (const piece of sorted) {
    const ranges = joined.get(piece.timeline) ?? []
    const last = ranges.at(-1)
    if (last === undefined || piece.startLsn > last.endLsn) ranges.push(piece)
    else if (piece.endLsn > last.endLsn)
      ranges[ranges.length - 1] = { ...last, endLsn: piece.endLsn }
    joined.set(piece.timeline, ranges)
  }
  return joined
}

/**
 * The history of a timeline: the file held, or for timeline 1 the empty one; undefined when it is
 * not held.
 */
export function historyOf(map: ContinuityMap, timeline: number): TimelineHistory | undefined {
  return map.histories.get(timeline) ?? (timeline === 1 ? { timeline, switches: [] } : undefined)
}

/** The range of `position.timeline` that holds the byte at `position.lsn` or ends right there. */
export function rangeAt(map: ContinuityMap, position: WalPosition): WalRange | undefined {
  const ranges = map.ranges.get(position.timeline) ?? []
  return ranges.find((range) => range.startLsn <= position.lsn && position.lsn <= range.endLsn)
}

/**
 * Holes in what is held: between two ranges of a timeline, and between the last range before a
 * switch and the first segment of the timeline that follows. What lies before the first range held
 * is not a gap: nobody asked for it.
 */
export function findGaps(map: ContinuityMap): readonly WalRange[] {
  const gaps: WalRange[] = []
  for (const [timeline, ranges] of map.ranges) {
    for (const [index, range] of ranges.slice(1).entries()) {
      gaps.push({ timeline, startLsn: endOf(ranges, index), endLsn: range.startLsn })
    }
    const before = gapBefore(map, timeline)
    if (before !== undefined) gaps.push(before)
  }
  return gaps.sort((a, b) => a.timeline - b.timeline || compare(a.startLsn, b.startLsn))
}

function endOf(ranges: readonly WalRange[], index: number): Lsn {
  return (ranges[index] as WalRange).endLsn
}

/**
 * The gap between the parent timeline's end and the beginning of `timeline`, on whichever of the
 * two it lies.
 */
function gapBefore(map: ContinuityMap, timeline: number): WalRange | undefined {
  const parent = historyOf(map, timeline)?.switches.at(-1)
  const first = map.ranges.get(timeline)?.[0]
  if (parent === undefined || first === undefined) return undefined
  const needed = segmentFloor(parent.switchLsn, map.segmentBytes)
  if (!isHeldBefore(map, timeline, needed)) return undefined
  if (first.startLsn > needed) return { timeline, startLsn: needed, endLsn: first.startLsn }
  const last = (map.ranges.get(parent.timeline) ?? []).findLast((range) => range.startLsn <= needed)
  if (last === undefined || last.endLsn >= needed) return undefined
  return { timeline: parent.timeline, startLsn: last.endLsn, endLsn: needed }
}

/**
 * Whether any ancestor's WAL of before `lsn` is held; without, everything begins behind the hole
 * and nobody can come to it.
 */
function isHeldBefore(map: ContinuityMap, timeline: number, lsn: Lsn): boolean {
  const ancestors = historyOf(map, timeline)?.switches ?? []
  return ancestors.some(({ timeline: ancestor }) =>
    (map.ranges.get(ancestor) ?? []).some((range) => range.startLsn < lsn),
  )
}

/**
 * How far recovery gets that starts at `from` and follows `history` (the target timeline's): the
 * position after the last byte held without a hole. Undefined when not even `from` is held, or
 * `history` left its timeline before it.
 *
 * The segment that holds a switch is read from the newer timeline, which begins with a copy of the
 * older one's bytes.
 */
export function reachableEnd(
  map: ContinuityMap,
  from: WalPosition,
  history: TimelineHistory,
): WalPosition | undefined {
  if (timelineOf(history, from.lsn) !== from.timeline) return undefined
  let position: WalPosition = from
  for (;;) {
    const switchLsn = switchPointOf(history, position.timeline)
    const here = rangeAt(map, position)
    if (switchLsn === undefined) return here && { ...position, lsn: here.endLsn }
    const needed = segmentFloor(switchLsn, map.segmentBytes)
    const isPast = (here?.endLsn ?? position.lsn) >= needed
    const next = { timeline: timelineOf(history, switchLsn), lsn: switchLsn }
    const heldNext = isPast ? rangeAt(map, { timeline: next.timeline, lsn: needed }) : undefined
    if (heldNext === undefined || heldNext.endLsn <= switchLsn) {
      return here && { ...position, lsn: earlierLsn(here.endLsn, switchLsn) }
    }
    position = next
  }
}

/** What continuity needs to know of a backup. */
export interface BackupSpan {
  readonly id: string
  readonly timeline: number
  readonly startLsn: Lsn
  readonly stopLsn: Lsn
}

/** The moments one backup can be rolled forward to: from consistency to the last byte held. */
export interface RecoverableWindow {
  readonly backup: string
  readonly from: WalPosition
  readonly to: WalPosition
}

/**
 * The window of each backup along the line production is on (`lines`) if it leads there, else the
 * newest timeline it leads to. A backup whose own WAL (start to stop) has a hole, or whose timeline
 * has no way forward, gives none.
 */
export function recoverableWindows(
  backups: readonly BackupSpan[],
  map: ContinuityMap,
  lines: readonly TimelineHistory[] = [],
): readonly RecoverableWindow[] {
  const goals = new Set(lines.map(({ timeline }) => timeline))
  return backups.flatMap((backup) => {
    const targets = targetsOf(map, backup)
    const isGoal = ({ timeline }: TimelineHistory): boolean => goals.has(timeline)
    const ends = [...targets.filter((each) => !isGoal(each)), ...targets.filter(isGoal)]
      .map((history) =>
        reachableEnd(map, { timeline: backup.timeline, lsn: backup.startLsn }, history),
      )
      .filter((end) => end !== undefined)
    const to = ends.findLast((end) => end.timeline > backup.timeline || end.lsn >= backup.stopLsn)
    const from = { timeline: backup.timeline, lsn: backup.stopLsn }
    return to === undefined ? [] : [{ backup: backup.id, from, to }]
  })
}

/**
 * Histories that pass through the backup and leave its timeline after its end, oldest target first.
 */
function targetsOf(map: ContinuityMap, backup: BackupSpan): TimelineHistory[] {
  return [...new Set([backup.timeline, ...map.histories.keys()])]
    .sort((a, b) => a - b)
    .map((timeline) => historyOf(map, timeline) ?? { timeline, switches: [] })
    .filter((history) => {
      if (!isAncestor(history, backup.timeline)) return false
      const left = switchPointOf(history, backup.timeline)
      return left === undefined || left >= backup.stopLsn
    })
}

/**
 * The moments that can be restored, in one line of status: undefined when no backup can be used.
 */
export function recoverableRange(
  backups: readonly BackupSpan[],
  map: ContinuityMap,
  lines: readonly TimelineHistory[] = [],
): { readonly from: WalPosition; readonly to: WalPosition } | undefined {
  const all = recoverableWindows(backups, map, lines)
  const living = all.filter(({ to }) => lines.some((line) => isOn(to, line)))
  const windows = living.length > 0 ? living : all
  const to = windows.map((window) => window.to).reduce<WalPosition | undefined>(later, undefined)
  const reaching = windows.filter((window) => window.to === to || isSame(window.to, to))
  const from = reaching.map((window) => window.from).sort((a, b) => compare(a.lsn, b.lsn))[0]
  return from === undefined || to === undefined ? undefined : { from, to }
}

function isOn({ timeline, lsn }: WalPosition, line: TimelineHistory): boolean {
  return timeline === line.timeline || (switchPointOf(line, timeline) ?? -1n) >= lsn
}

function later(best: WalPosition | undefined, next: WalPosition): WalPosition {
  if (best === undefined) return next
  if (next.timeline !== best.timeline) return next.timeline > best.timeline ? next : best
  return next.lsn > best.lsn ? next : best
}

function isSame(a: WalPosition, b: WalPosition | undefined): boolean {
  return a.timeline === b?.timeline && a.lsn === b.lsn
}
