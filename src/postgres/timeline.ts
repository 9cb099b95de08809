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

/** Reads a history file; undefined when a line is malformed or the order is impossible. */
export function parseTimelineHistory(
  timeline: number,
  content: string,
): TimelineHistory | undefined {
  const switches: TimelineSwitch[] = []
  for (const line of content.split('\n')) {
    const text = line.replace(/^\s+/, '')
    if (text === '' || text.startsWith('#')) continue
    const match = /^(\d+)\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)(?:\s+(.*))?$/.exec(text)
    const switchLsn = match === null ? undefined : parseLsn(match[2] ?? '')
    if (match === null || switchLsn === undefined) return undefined
    switches.push({ timeline: Number(match[1]), switchLsn, reason: (match[3] ?? '').trim() })
  }
  return isAscending(timeline, switches) ? { timeline, switches } : undefined
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

/** Where `timeline` was left on the way to `history.timeline`; undefined when it is the last or no ancestor. */
export function switchPointOf(history: TimelineHistory, timeline: number): Lsn | undefined {
  return history.switches.find((entry) => entry.timeline === timeline)?.switchLsn
}

/** Whether `timeline` is `history.timeline` itself or one of its ancestors. */
export function isAncestor(history: TimelineHistory, timeline: number): boolean {
  return timeline === history.timeline || switchPointOf(history, timeline) !== undefined
}

function isAscending(timeline: number, switches: readonly TimelineSwitch[]): boolean {
  return switches.every((entry, index) => {
    const next = switches[index + 1]
    if (next === undefined) return entry.timeline < timeline
    return entry.timeline < next.timeline && entry.switchLsn <= next.switchLsn
  })
}
