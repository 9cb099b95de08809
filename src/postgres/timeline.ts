/**
 * Timelines and their history files: which timeline a position belongs to.
 * Source: PostgreSQL src/backend/access/transam/timeline.c.
 */
import { formatLsn, type Lsn, parseLsn } from './lsn.ts'

/** One line of a history file: `timeline` was left at `switchLsn`. */
export interface TimelineSwitch {
  readonly timeline: number
  /** First byte that belongs to the next timeline instead. */
  readonly switchLsn: Lsn
  readonly reason: string
}

/** The ancestry of `timeline`: its switches in order, oldest first. Timeline 1 has none. */
export interface TimelineHistory {
  readonly timeline: number
  readonly switches: readonly TimelineSwitch[]
}

/** PostgreSQL reads lines into a buffer of so many bytes (MAXPGPATH). */
const LINE_LENGTH_MAX = 1024

/**
 * Reads a history file; undefined when a line is malformed or the order is impossible. What is
 * given back is what PostgreSQL makes of it: a recovery that was to follow a timeline and ended
 * before that one began writes it down as parent all the same.
 */
export function parseTimelineHistory(
  timeline: number,
  content: string,
): TimelineHistory | undefined {
  const switches: TimelineSwitch[] = []
  for (const line of content.split('\n')) {
    const text = line.replace(/^\s+/, '')
    if (text === '' || text.startsWith('#')) continue
    if (text.length > LINE_LENGTH_MAX) return undefined
    const match = /^(\d+)\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)(?:\s+(.*))?$/.exec(text)
    const switchLsn = match === null ? undefined : parseLsn(match[2] ?? '')
    if (match === null || switchLsn === undefined) return undefined
    switches.push({ timeline: Number(match[1]), switchLsn, reason: (match[3] ?? '').trim() })
  }
  return isAscending(timeline, switches) ? { timeline, switches: reached(switches) } : undefined
}

/** Writes a history file as PostgreSQL does. */
export function formatTimelineHistory(history: TimelineHistory): string {
  return history.switches
    .map((entry) => `${entry.timeline}\t${formatLsn(entry.switchLsn)}\t${entry.reason}\n`)
    .join('')
}

/** The timeline that byte `lsn` belongs to, seen from the end of `history`. */
export function timelineOf(history: TimelineHistory, lsn: Lsn): number {
  return history.switches.find((entry) => lsn < entry.switchLsn)?.timeline ?? history.timeline
}

/**
 * Where `timeline` was left on the way to `history.timeline`; undefined when it is the last or no
 * ancestor.
 */
export function switchPointOf(history: TimelineHistory, timeline: number): Lsn | undefined {
  return history.switches.find((entry) => entry.timeline === timeline)?.switchLsn
}

/** Whether `timeline` is `history.timeline` itself or one of its ancestors. */
export function isAncestor(history: TimelineHistory, timeline: number): boolean {
  return timeline === history.timeline || switchPointOf(history, timeline) !== undefined
}

/**
 * Whether two histories are of one and the same timeline: a number alone can be given out twice.
 */
export function isSameHistory(one: TimelineHistory, other: TimelineHistory): boolean {
  return (
    one.timeline === other.timeline &&
    beginsWith(one.switches, other.switches) &&
    beginsWith(other.switches, one.switches)
  )
}

/**
 * Whether the timeline of `older` is `newer` itself or one that it came from, by every switch on
 * the way.
 */
export function isLineOf(newer: TimelineHistory, older: TimelineHistory): boolean {
  return isAncestor(newer, older.timeline) && beginsWith(newer.switches, older.switches)
}

/**
 * Where two lines part: the first position that belongs to only one of them; undefined when they
 * are the same.
 */
export function forkOf(one: TimelineHistory, other: TimelineHistory): Lsn | undefined {
  const leaving = (
    history: TimelineHistory,
    index: number,
  ): { timeline: number; switchLsn?: Lsn } =>
    history.switches[index] ?? { timeline: history.timeline }
  for (let index = 0; index <= Math.min(one.switches.length, other.switches.length); index += 1) {
    const [mine, theirs] = [leaving(one, index), leaving(other, index)]
    if (mine.switchLsn === theirs.switchLsn && mine.timeline === theirs.timeline) continue
    const lsns = [mine.switchLsn, theirs.switchLsn].filter((lsn) => lsn !== undefined)
    return lsns.reduce<Lsn | undefined>(
      (low, lsn) => (low === undefined ? lsn : min(low, lsn)),
      undefined,
    )
  }
  return undefined
}

function beginsWith(
  longer: readonly TimelineSwitch[],
  beginning: readonly TimelineSwitch[],
): boolean {
  return beginning.every(({ timeline, switchLsn }, index) => {
    const other = longer[index]
    return other?.timeline === timeline && other.switchLsn === switchLsn
  })
}

function isAscending(timeline: number, switches: readonly TimelineSwitch[]): boolean {
  return switches.every((entry, index) => {
    return entry.timeline < (switches[index + 1]?.timeline ?? timeline)
  })
}

/**
 * Without the timelines that were left before they began; a position belongs to the newest that has
 * begun (tliOfPointInHistory).
 */
function reached(switches: readonly TimelineSwitch[]): readonly TimelineSwitch[] {
  const kept: TimelineSwitch[] = []
  let left: Lsn | undefined
  for (const [index, entry] of [...switches.entries()].reverse()) {
    left = left === undefined ? entry.switchLsn : min(left, entry.switchLsn)
    const begun = switches[index - 1]?.switchLsn
    if (begun === undefined || begun <= left) kept.push({ ...entry, switchLsn: left })
  }
  return kept.reverse()
}

function min(one: Lsn, other: Lsn): Lsn {
  return one < other ? one : other
}
