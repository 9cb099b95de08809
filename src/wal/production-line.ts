/**
 * The line production is on. History is a tree: a promotion by accident, or a second recovery to a
 * moment, leaves branches whose numbers may be higher than that of the living one. What was seen of
 * the servers is recorded (repository/line-records.ts); this file says what follows from it. Pure.
 * Why so: docs/adr/0064.
 */
import { addBytes, type Lsn } from '../postgres/lsn.ts'
import { isAncestor, switchPointOf, type TimelineHistory } from '../postgres/timeline.ts'
import type { LineRecord, LineRecords } from '../repository/line-records.ts'
import { type ContinuityMap, historyOf } from './continuity.ts'
import { greatest } from '../util/greatest.ts'

/**
 * A page's header and the padding of a record: the old line's end and the switch may differ by so
 * much.
 */
const SLACK_BYTES = 64

/** Where production was until it went elsewhere. */
export interface PastLine {
  readonly history: TimelineHistory
  /** When it was first seen elsewhere, milliseconds since 1970. */
  readonly leftAtMs: number
}

/** What is known of the lines of a cluster. */
export interface ProductionLines {
  /**
   * The one production is on. Several when that cannot be told, none when there is no WAL and no
   * backup. Highest number first.
   */
  readonly current: readonly TimelineHistory[]
  /** Newest first. */
  readonly past: readonly PastLine[]
  /** Declared dead. */
  readonly abandoned: ReadonlySet<number>
}

/** The newest record that was not declared dead since. */
export function lastRecord({ records, abandoned }: LineRecords): LineRecord | undefined {
  return records.findLast(({ timeline }) => !abandoned.has(timeline))
}

/** The lines, from what is held, which timelines are known, and what was recorded. */
export function productionLines(
  map: ContinuityMap,
  known: readonly number[],
  lines: LineRecords,
): ProductionLines {
  const alive = known.filter((timeline) => !lines.abandoned.has(timeline))
  const record = lastRecord(lines)
  const current =
    record === undefined
      ? leaves(map, alive)
      : leaves(
          map,
          alive.filter(
            (timeline) => timeline === record.timeline || !record.known.includes(timeline),
          ),
        )
  const isMissing = record !== undefined && !alive.includes(record.timeline)
  const goals = isMissing ? [...current, record.timeline] : current
  return {
    current: goals.toSorted((a, b) => b - a).map((timeline) => historyOrEmpty(map, timeline)),
    past: pastLines(map, lines),
    abandoned: lines.abandoned,
  }
}

/**
 * Whether a primary with this history may be production: it is where production was seen last, or
 * came from there, or is newer than everything that was known then. Not a primary from before a
 * promotion, which came back. Undefined when nothing was recorded.
 */
export function mayBeProduction(history: TimelineHistory, lines: LineRecords): boolean | undefined {
  const { timeline } = history
  if (lines.abandoned.has(timeline)) return false
  const record = lastRecord(lines)
  if (record === undefined) return undefined
  return isAncestor(history, record.timeline) || timeline > greatest(record.known, 0)
}

/**
 * Timelines that no other of the list simply continues: where one left another at its very end, the
 * older is no end of its own.
 */
function leaves(map: ContinuityMap, timelines: readonly number[]): readonly number[] {
  return timelines.filter(
    (timeline) =>
      !timelines.some((other) => other !== timeline && continues(map, { timeline, other })),
  )
}

function continues(map: ContinuityMap, pair: { timeline: number; other: number }): boolean {
  const leftAt = switchPointOf(historyOrEmpty(map, pair.other), pair.timeline)
  if (leftAt === undefined) return false
  const end = map.ranges.get(pair.timeline)?.at(-1)?.endLsn
  return end === undefined || end <= addBytes(leftAt, SLACK_BYTES)
}

function pastLines(map: ContinuityMap, { records, abandoned }: LineRecords): PastLine[] {
  return records
    .slice(0, -1)
    .flatMap((record, index) => {
      const next = records[index + 1]
      if (next === undefined || abandoned.has(record.timeline)) return []
      if (next.timeline === record.timeline) return []
      const leftAtMs = Date.parse(next.recordedAt)
      return [{ history: historyOrEmpty(map, record.timeline), leftAtMs }]
    })
    .reverse()
}

function historyOrEmpty(map: ContinuityMap, timeline: number): TimelineHistory {
  return historyOf(map, timeline) ?? { timeline, switches: [] }
}

/** Every timeline that is known, ascending: it has a history file, or WAL, or a backup. */
export function timelinesOf(
  map: ContinuityMap,
  backups: readonly { readonly timeline: number }[],
): number[] {
  const known = [...map.histories.keys(), ...map.ranges.keys(), ...backups.map((b) => b.timeline)]
  return [...new Set(known)].sort((a, b) => a - b)
}

/** Where two lines part: the first byte that is not of both. Undefined when they are one. */
export function forkOf(a: TimelineHistory, b: TimelineHistory): Lsn | undefined {
  const [ways, others] = [[...a.switches], [...b.switches]]
  const shared = ways.findIndex(
    (one, index) =>
      others[index]?.timeline !== one.timeline || others[index].switchLsn !== one.switchLsn,
  )
  const at = shared === -1 ? ways.length : shared
  const ends = [ways[at], others[at]].flatMap((entry) =>
    entry === undefined ? [] : [entry.switchLsn],
  )
  return ends.length === 0 ? undefined : ends.reduce((x, y) => (x < y ? x : y))
}
