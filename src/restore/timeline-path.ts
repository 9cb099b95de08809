/**
 * The way recovery takes through the timelines from a backup, and which WAL is held along it. Pure.
 * Source: PostgreSQL src/backend/access/transam/timeline.c, xlogrecovery.c (XLogFileReadAnyTLI).
 */
import type { Lsn } from '../postgres/lsn.ts'
import { switchPointOf, type TimelineHistory } from '../postgres/timeline.ts'
import { type ContinuityMap, historyOf } from '../wal/continuity.ts'
import { segmentFloor, type WalPosition } from '../wal/wal-position.ts'

/** A stretch of one timeline that recovery passes through. */
export interface PathPart {
  readonly timeline: number
  readonly from: Lsn
  /** First byte of the next timeline; undefined for the last part, which has no end of its own. */
  readonly to: Lsn | undefined
}

/** A way from a backup's start to the end of a timeline; at least one part. */
export type TimelinePath = readonly [PathPart, ...PathPart[]]

/** What the path needs to know of a backup. */
export interface PathStart {
  readonly timeline: number
  readonly startLsn: Lsn
  readonly stopLsn: Lsn
}

/**
 * A stretch of the path whose WAL is held. The numbers are positions on the path, whatever the
 * timeline.
 */
export interface HeldStretch {
  readonly from: Lsn
  readonly to: Lsn
}

/**
 * The path from a backup to the timeline of `history`. Undefined when that timeline does not
 * descend from the backup: another branch, or it left the backup's timeline before the backup was
 * consistent.
 */
export function pathFrom(start: PathStart, history: TimelineHistory): TimelinePath | undefined {
  const first = { timeline: start.timeline, from: start.startLsn, to: undefined }
  if (history.timeline === start.timeline) return [first]
  const left = switchPointOf(history, start.timeline)
  if (left === undefined || left < start.stopLsn) return undefined
  const switches = history.switches.filter((entry) => entry.timeline > start.timeline)
  const later = switches.map((entry, index) => ({
    timeline: entry.timeline,
    from: switches[index - 1]?.switchLsn ?? left,
    to: entry.switchLsn,
  }))
  const last = {
    timeline: history.timeline,
    from: switches.at(-1)?.switchLsn ?? left,
    to: undefined,
  }
  return [{ ...first, to: left }, ...later, last]
}

/**
 * The history of a timeline. Without its file a timeline still leads to its own end, which is all
 * its backups need.
 */
export function historyOrOwn(map: ContinuityMap, timeline: number): TimelineHistory {
  return historyOf(map, timeline) ?? { timeline, switches: [] }
}

/**
 * What is held along the path, ascending and joined. The segment that holds a switch is read from
 * the newer timeline, whose first segment begins with a copy of the older one's bytes; so WAL of a
 * part counts from its first segment's beginning.
 */
export function heldAlong(path: TimelinePath, map: ContinuityMap): readonly HeldStretch[] {
  const pieces = path.flatMap((part) => {
    const begin = segmentFloor(part.from, map.segmentBytes)
    return (map.ranges.get(part.timeline) ?? []).flatMap((range) => {
      const from = range.startLsn > begin ? range.startLsn : begin
      const to = part.to !== undefined && part.to < range.endLsn ? part.to : range.endLsn
      return from < to ? [{ from, to }] : []
    })
  })
  return joined(pieces.sort((a, b) => Number(a.from - b.from)))
}

/**
 * Where recovery from `from` runs out of WAL: the first byte not held. Equal to `from` when nothing
 * is held there.
 */
export function endOfHeld(held: readonly HeldStretch[], from: Lsn): Lsn {
  return held.find((stretch) => stretch.from <= from && from < stretch.to)?.to ?? from
}

/**
 * The first byte held or known to have existed behind `end`, where WAL is missing: the next stretch
 * held, or the beginning of a timeline not reached. Undefined when `end` is simply the end of what
 * was ever received.
 */
export function resumesAfter(
  path: TimelinePath,
  held: readonly HeldStretch[],
  end: Lsn,
): Lsn | undefined {
  const next = held.find((stretch) => stretch.from > end)?.from
  const lastSwitch = path.slice(1).at(-1)?.from
  return next ?? (lastSwitch !== undefined && lastSwitch >= end ? lastSwitch : undefined)
}

/** The timeline that byte `lsn` of the path belongs to. */
export function timelineAt(path: TimelinePath, lsn: Lsn): number {
  const part = path.find((candidate) => candidate.to === undefined || lsn < candidate.to)
  return (part ?? path[0]).timeline
}

/**
 * The timeline whose file recovery reads for the segment that begins at `segmentStartLsn`: the
 * newest of the path that has begun in it and is held there; undefined when none is.
 */
export function fileTimelineAt(
  path: TimelinePath,
  map: ContinuityMap,
  segmentStartLsn: Lsn,
): WalPosition | undefined {
  const part = path.findLast((candidate) => {
    const begun = segmentFloor(candidate.from, map.segmentBytes) <= segmentStartLsn
    const left = candidate.to !== undefined && candidate.to <= segmentStartLsn
    return begun && !left && isHeld(map, { timeline: candidate.timeline, lsn: segmentStartLsn })
  })
  return part === undefined ? undefined : { timeline: part.timeline, lsn: segmentStartLsn }
}

function isHeld(map: ContinuityMap, position: WalPosition): boolean {
  const ranges = map.ranges.get(position.timeline) ?? []
  return ranges.some((range) => range.startLsn <= position.lsn && position.lsn < range.endLsn)
}

function joined(sorted: readonly HeldStretch[]): HeldStretch[] {
  const stretches: HeldStretch[] = []
  for (const piece of sorted) {
    const last = stretches.at(-1)
    if (last === undefined || piece.from > last.to) stretches.push(piece)
    else if (piece.to > last.to) stretches[stretches.length - 1] = { from: last.from, to: piece.to }
  }
  return stretches
}
