/**
 * Which WAL is needed, and by whom: what every deletion asks and what decides whether a hole
 * matters. Pure.
 */
import type { Lsn } from '../postgres/lsn.ts'
import { isAncestor, switchPointOf, type TimelineHistory } from '../postgres/timeline.ts'
import type { BackupSpan } from './continuity.ts'
import { segmentFloor, type WalRange } from './wal-position.ts'

/** A backup as something that needs WAL. */
export interface WalNeed extends Pick<BackupSpan, 'timeline' | 'startLsn' | 'stopLsn'> {
  /** Kept for itself: WAL from its start to its stop, no further. */
  readonly onlyItself: boolean
}

/** What is known when it is asked what is needed. */
export interface NeedFacts {
  /** Histories held; timeline 1 needs none. */
  readonly histories: readonly TimelineHistory[]
  readonly segmentBytes: number
  /** The lines production may be on; undefined when nobody knows, so that each may be one. */
  readonly lines: readonly TimelineHistory[] | undefined
}

/** Whether recovery that starts with the backup can come across the range. */
export function needsWal(
  need: WalNeed,
  range: WalRange,
  histories: readonly TimelineHistory[],
): boolean {
  const { onlyItself } = need
  if (range.endLsn <= need.startLsn) return false
  if (range.timeline === need.timeline) return !onlyItself || range.startLsn < need.stopLsn
  if (onlyItself || range.timeline < need.timeline) return false
  const history = histories.find(({ timeline }) => timeline === range.timeline)
  return history !== undefined && leadsTo(need, history)
}

/**
 * Whether a backup can be rolled forward along `history`: its line left the backup's timeline, if
 * at all, after its end.
 */
export function leadsTo(
  backup: Pick<BackupSpan, 'timeline' | 'stopLsn'>,
  history: TimelineHistory,
): boolean {
  if (!isAncestor(history, backup.timeline)) return false
  const leftAt = switchPointOf(history, backup.timeline)
  return leftAt === undefined || leftAt >= backup.stopLsn
}

/**
 * Says of a range whether anybody needs it, now or later. As long as no backup stays that can be
 * rolled forward everything is needed: it may be what the next one continues. So is WAL after the
 * newest start on a line production may be on, and WAL of timelines whose history has not come yet.
 */
export function neededBy(
  needs: readonly WalNeed[],
  facts: NeedFacts,
): (range: WalRange) => boolean {
  const starts = needs
    .filter(({ onlyItself }) => !onlyItself)
    .map(({ startLsn }) => segmentFloor(startLsn, facts.segmentBytes))
  const [first] = starts
  if (first === undefined) return () => true
  const oldest = starts.reduce(lower, first)
  const newest = starts.reduce((a, b) => (lower(a, b) === a ? b : a), first)
  return (range) => {
    if (range.endLsn > newest && mayGoOn(range, facts)) return true
    if (range.endLsn > oldest && !isKnown(range, facts)) return true
    return needs.some((need) => needsWal(need, range, facts.histories))
  }
}

/** Whether production may come to write behind the range, so that the next backup continues it. */
function mayGoOn(range: WalRange, facts: NeedFacts): boolean {
  const { lines } = facts
  if (lines === undefined || !isKnown(range, facts)) return true
  return lines.some(
    (line) =>
      isAncestor(line, range.timeline) &&
      (switchPointOf(line, range.timeline) ?? range.endLsn) >= range.startLsn,
  )
}

function isKnown({ timeline }: WalRange, { histories }: NeedFacts): boolean {
  return timeline === 1 || histories.some((history) => history.timeline === timeline)
}

function lower(a: Lsn, b: Lsn): Lsn {
  return a < b ? a : b
}
