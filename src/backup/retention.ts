/**
 * Decides which backups and which WAL are no longer needed. Pure: nothing is deleted here.
 *
 * A backup goes only when every policy given lets it go. WAL goes only when no backup that stays could be rolled forward
 * through it.
 */
import { addBytes, type Lsn } from '../postgres/lsn.ts'
import { type Segment, segmentStart } from '../postgres/segment-name.ts'
import { isAncestor, switchPointOf, type TimelineHistory } from '../postgres/timeline.ts'
import type { BackupId, CataloguedBackup } from '../repository/backup-info.ts'
import { segmentFloor } from '../wal/wal-position.ts'

/** How long backups stay. Without window and count nothing expires. */
export interface RetentionPolicy {
  /** Every moment of the last so many milliseconds can be restored. */
  readonly windowMs: number | undefined
  /** So many backups stay. */
  readonly count: number | undefined
  /** So many good backups stay whatever the rest says; at least 1. */
  readonly minimum: number
}

/** A backup and what becomes of it. */
export interface JudgedBackup {
  readonly id: BackupId
  /** For people, as the end of the sentence «it stays because …» or «it goes because …». */
  readonly because: string
}

/** What is known when retention is planned. */
export interface RetentionFacts {
  /** Newest first. */
  readonly backups: readonly CataloguedBackup[]
  /** Backups that a restore or verification reads at the moment. */
  readonly inUse: ReadonlySet<string>
  readonly segments: readonly Segment[]
  /** Histories held; timeline 1 needs none. */
  readonly histories: readonly TimelineHistory[]
  readonly segmentBytes: number
  readonly nowMs: number
}

/** What goes and what stays, and why. */
export interface ExpiryPlan {
  readonly expire: readonly JudgedBackup[]
  readonly stay: readonly JudgedBackup[]
  /** Segments no staying backup needs. */
  readonly segments: readonly Segment[]
}

/** Plans by policy. */
export function planExpiry(facts: RetentionFacts, policy: RetentionPolicy): ExpiryPlan {
  const reasons = facts.backups.map((backup) => ({
    backup,
    because: whyItStays(backup, facts, policy),
  }))
  const staying = reasons.filter(({ because }) => because !== undefined)
  return {
    expire: reasons
      .filter(({ because }) => because === undefined)
      .map(({ backup }) => ({ id: backup.info.id, because: describePolicy(policy) })),
    stay: staying.map(({ backup, because }) => ({ id: backup.info.id, because: because ?? '' })),
    segments: unneededSegments(
      staying.map(({ backup, because }) => ({
        backup,
        onlyItself: because === KEPT && backup.keep?.target === 'standalone',
      })),
      facts,
    ),
  }
}

/** Plans the deletion of given backups. The caller has made sure that they may go. */
export function planDeletion(facts: RetentionFacts, ids: ReadonlySet<string>): ExpiryPlan {
  const staying = facts.backups.filter(({ info }) => !ids.has(info.id))
  return {
    expire: facts.backups
      .filter(({ info }) => ids.has(info.id))
      .map(({ info }) => ({ id: info.id, because: 'it was named' })),
    stay: staying.map(({ info }) => ({ id: info.id, because: 'it was not named' })),
    segments: unneededSegments(
      staying.map((backup) => ({ backup, onlyItself: false })),
      facts,
    ),
  }
}

const KEPT = 'an operator keeps it'

function whyItStays(
  backup: CataloguedBackup,
  facts: RetentionFacts,
  policy: RetentionPolicy,
): string | undefined {
  const { id } = backup.info
  const reasons = [
    byMinimum(backup, facts, policy),
    policy.windowMs === undefined && policy.count === undefined
      ? 'no window and no count is set'
      : undefined,
    byCount(backup, facts, policy),
    byWindow(backup, facts, policy),
    facts.inUse.has(id) ? 'it is being read' : undefined,
    // Last, because it is the only reason that does not keep the WAL after the backup.
    backup.keep === undefined ? undefined : KEPT,
  ]
  return reasons.find((reason) => reason !== undefined)
}

function byMinimum(
  backup: CataloguedBackup,
  { backups }: RetentionFacts,
  policy: RetentionPolicy,
): string | undefined {
  const minimum = Math.max(1, policy.minimum)
  const good = backups.filter(({ info }) => info.status === 'done').slice(0, minimum)
  if (good.includes(backup)) return `it is one of the newest ${minimum} good ones (minimum)`
  // Without any good backup the newest of the others are the best there is.
  const isBest = good.length === 0 && backups.slice(0, minimum).includes(backup)
  return isBest ? 'there is no good one' : undefined
}

function byCount(
  backup: CataloguedBackup,
  { backups }: RetentionFacts,
  { count }: RetentionPolicy,
): string | undefined {
  if (count === undefined || backups.indexOf(backup) >= count) return undefined
  return `it is one of the newest ${count}`
}

/** The window needs, besides the backups in it, the newest good one that was finished before it began. */
function byWindow(
  backup: CataloguedBackup,
  { backups, nowMs }: RetentionFacts,
  { windowMs }: RetentionPolicy,
): string | undefined {
  if (windowMs === undefined) return undefined
  const isBefore = ({ info }: CataloguedBackup): boolean =>
    Date.parse(info.finishedAt) <= nowMs - windowMs
  if (!isBefore(backup)) return 'it lies in the window'
  const first = backups.find((other) => isBefore(other) && other.info.status === 'done')
  const isAfterFirst = first === undefined || backup.info.id >= first.info.id
  return isAfterFirst ? 'the beginning of the window is restored from it' : undefined
}

function describePolicy({ windowMs, count }: RetentionPolicy): string {
  const days = windowMs === undefined ? undefined : `the window of ${windowMs / 86_400_000} d`
  const newest = count === undefined ? undefined : `the newest ${count}`
  return `it is outside of ${[days, newest].filter((part) => part !== undefined).join(' and of ')}`
}

interface Staying {
  readonly backup: CataloguedBackup
  /** Kept for itself: WAL from its start to its stop, no further. */
  readonly onlyItself: boolean
}

/**
 * Segments that no staying backup needs. As long as no backup stays that can be rolled forward, all WAL stays: it may be
 * what the next one continues. So does WAL after the newest start, and WAL of timelines whose history has not come yet.
 */
function unneededSegments(staying: readonly Staying[], facts: RetentionFacts): Segment[] {
  const { segmentBytes } = facts
  const starts = staying
    .filter(({ onlyItself }) => !onlyItself)
    .map(({ backup }) => segmentFloor(backup.info.startLsn, segmentBytes))
  const [first] = starts
  if (first === undefined) return []
  const oldest = starts.reduce((a, b) => (a < b ? a : b), first)
  const newest = starts.reduce((a, b) => (a > b ? a : b), first)
  return facts.segments.filter((segment) => {
    const start = segmentStart(segment, segmentBytes)
    const end = addBytes(start, segmentBytes)
    if (end > newest || (end > oldest && !isKnown(segment, facts))) return false
    return !staying.some((one) => needs(one, { timeline: segment.timeline, start, end }, facts))
  })
}

function isKnown({ timeline }: Segment, { histories }: RetentionFacts): boolean {
  return timeline === 1 || histories.some((history) => history.timeline === timeline)
}

/** Whether recovery that starts with the backup can come across the segment. */
function needs(
  { backup, onlyItself }: Staying,
  segment: { readonly timeline: number; readonly start: Lsn; readonly end: Lsn },
  facts: RetentionFacts,
): boolean {
  const { info } = backup
  if (segment.end <= info.startLsn) return false
  if (segment.timeline === info.timeline) return !onlyItself || segment.start < info.stopLsn
  if (onlyItself || segment.timeline < info.timeline) return false
  const history = facts.histories.find(({ timeline }) => timeline === segment.timeline)
  if (history === undefined || !isAncestor(history, info.timeline)) return false
  const leftAt = switchPointOf(history, info.timeline)
  return leftAt !== undefined && leftAt >= info.stopLsn
}
