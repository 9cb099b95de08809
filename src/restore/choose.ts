/**
 * Choosing the backup and the timeline for a wish: every candidate is judged (reach.ts), the newest that reaches the target
 * wins, and when none does the refusals are joined to one that names the nearest moments on both sides.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { formatLsn, type Lsn } from '../postgres/lsn.ts'
import { switchPointOf, type TimelineHistory } from '../postgres/timeline.ts'
import type { BackupInfo } from '../repository/backup-info.ts'
import { type ContinuityMap, historyOf } from '../wal/continuity.ts'
import {
  type Candidate,
  endOfBackup,
  goalOf,
  judge,
  type Moment,
  type ReachContext,
  type Reached,
  type Refusal,
} from './reach.ts'
import { formatTimeUs, isoTimeUs } from './target-time.ts'
import {
  endOfHeld,
  heldAlong,
  historyOrOwn,
  knownTimelines,
  pathFrom,
  type TimelinePath,
} from './timeline-path.ts'
import { findFirst, type FoundPlace, type WalQuestion, type WalReading } from './wal-search.ts'
import { describeTarget, type RestoreWish } from './wish.ts'

/** Everything known of a cluster's backups and WAL. */
export interface RestoreSources {
  /** For messages. */
  readonly cluster: string
  readonly backups: readonly BackupInfo[]
  readonly map: ContinuityMap
  readonly wal: WalReading
  /** Everything that was committed before this moment is known to be held; undefined when nobody knows. */
  readonly currentAtUs: bigint | undefined
}

/** The backup chosen, the way from it, and where recovery will end. */
export interface Choice extends Candidate, Reached {
  readonly timeline: number
}

/** @throws {BackstayError} BACKUP_MISSING, TARGET_UNREACHABLE (with the nearest moments in `details.nearest`). */
export async function chooseBackup(wish: RestoreWish, sources: RestoreSources): Promise<Choice> {
  const context = contextOf(sources)
  const refusals: Refusal[] = []
  for (const backup of candidatesOf(wish, sources)) {
    const candidate = onTimeline(backup, wish, sources)
    if ('kind' in candidate) {
      refusals.push(candidate)
      continue
    }
    const verdict = await judge(candidate, wish.target, context)
    if (verdict.reachable) {
      const notes = [...notesOn(candidate, wish, sources), ...verdict.notes]
      return { ...candidate, ...verdict, notes }
    }
    refusals.push(verdict.refusal)
  }
  throw unreachable(wish, sources, refusals)
}

/** Newest first; for a named backup or `latest` only that one. */
function candidatesOf(wish: RestoreWish, sources: RestoreSources): readonly BackupInfo[] {
  const newestFirst = [...sources.backups].sort(byEnd).reverse()
  const [newest] = newestFirst
  if (newest === undefined) {
    throw new BackstayError(
      'BACKUP_MISSING',
      `Cannot restore "${sources.cluster}": it has no backup`,
      { hint: 'Take one with `backstay backup`.' },
    )
  }
  if (wish.backup === 'auto') return newestFirst
  if (wish.backup === 'latest') return [newest]
  const named = newestFirst.find((backup) => backup.id === wish.backup)
  if (named !== undefined) return [named]
  throw new BackstayError(
    'BACKUP_MISSING',
    `Cannot restore "${sources.cluster}": it has no backup "${wish.backup}"`,
  )
}

function byEnd(a: BackupInfo, b: BackupInfo): number {
  const [one, other] = a.finishedAt === b.finishedAt ? [a.id, b.id] : [a.finishedAt, b.finishedAt]
  return one < other ? -1 : 1
}

interface Placed extends Candidate {
  readonly timeline: number
}

/** The path from a backup to the timeline wanted, or why there is none. */
function onTimeline(
  backup: BackupInfo,
  wish: RestoreWish,
  sources: RestoreSources,
): Placed | Refusal {
  const { map, backups } = sources
  const known = knownTimelines(map, backups)
  const newest = known.at(-1) ?? backup.timeline
  if (wish.timeline === 'current') return place(backup, backup.timeline, map)
  if (wish.timeline === 'latest') {
    if (wish.backup === 'auto') return place(backup, newest, map)
    const descending = known.findLast((timeline) => 'path' in place(backup, timeline, map))
    return place(backup, descending ?? backup.timeline, map)
  }
  if (known.includes(wish.timeline)) return place(backup, wish.timeline, map)
  const because = `timeline ${wish.timeline} is not in the repository, only ${known.join(', ')}`
  return { kind: 'timeline', because, earlier: ownEnd(backup, map) }
}

function place(backup: BackupInfo, timeline: number, map: ContinuityMap): Placed | Refusal {
  const path = pathFrom(backup, historyOrOwn(map, timeline))
  if (path !== undefined) return { backup, path, timeline }
  const because = whyNoPath(backup, timeline, historyOf(map, timeline))
  return { kind: 'timeline', because, earlier: ownEnd(backup, map) }
}

/** The end of a backup on its own timeline, which is there whenever its WAL is. */
function ownEnd(backup: BackupInfo, map: ContinuityMap): Moment | undefined {
  const path = [{ timeline: backup.timeline, from: backup.startLsn, to: undefined }] as const
  const isHeld = endOfHeld(heldAlong(path, map), backup.startLsn) >= backup.stopLsn
  return isHeld ? endOfBackup({ backup, path }) : undefined
}

function whyNoPath(
  backup: BackupInfo,
  timeline: number,
  history: TimelineHistory | undefined,
): string {
  if (history === undefined) return `the history file of timeline ${timeline} is missing`
  const left = switchPointOf(history, backup.timeline)
  if (left === undefined) {
    return `timeline ${timeline} does not descend from timeline ${backup.timeline} of backup ${backup.id}`
  }
  return `timeline ${timeline} left timeline ${backup.timeline} at ${formatLsn(left)}, before backup ${backup.id} ended at ${formatLsn(backup.stopLsn)}`
}

/** A named backup follows the newest timeline it can: that there is a newer one elsewhere must not be passed over. */
function notesOn(placed: Placed, wish: RestoreWish, sources: RestoreSources): string[] {
  const newest = knownTimelines(sources.map, sources.backups).at(-1) ?? placed.timeline
  if (wish.timeline !== 'latest' || newest === placed.timeline) return []
  return [`Timeline ${newest} is newer but does not descend from backup ${placed.backup.id}`]
}

/** Candidates of one timeline search the same WAL: what a newer backup has searched already is not read again. */
function contextOf(sources: RestoreSources): ReachContext {
  const searched = new Map<number, { from: Lsn; found: FoundPlace | undefined }>()
  const find = async (
    path: TimelinePath,
    question: WalQuestion,
    range: { from: Lsn; to: Lsn },
  ): Promise<FoundPlace | undefined> => {
    const timeline = goalOf(path)
    const before = searched.get(timeline)
    const isCovered = before !== undefined && before.from >= range.from && before.from <= range.to
    const to = isCovered ? before.from : range.to
    const first = await findFirst(sources.wal, { path, from: range.from, to }, question)
    const found = first ?? (isCovered ? before.found : undefined)
    searched.set(timeline, { from: range.from, found })
    return found
  }
  return { map: sources.map, wal: sources.wal, currentAtUs: sources.currentAtUs, find }
}

/** The order in which refusals explain best; a backup that is too young says the least. */
const TELLING = ['gap', 'after-end', 'not-found', 'wal-missing', 'timeline', 'too-early'] as const

function unreachable(
  wish: RestoreWish,
  sources: RestoreSources,
  refusals: readonly Refusal[],
): BackstayError {
  const kind = TELLING.find((name) => refusals.some((refusal) => refusal.kind === name))
  const matching = refusals.filter((refusal) => refusal.kind === kind)
  // Refusals come newest backup first: of those that are too young the oldest is the nearest.
  const told = kind === 'too-early' ? matching.at(-1) : matching[0]
  const later = refusals.findLast((refusal) => refusal.kind === 'too-early')?.later
  const nearest = { earlier: told?.earlier, later: told?.later ?? later }
  return new BackstayError(
    'TARGET_UNREACHABLE',
    `Cannot restore "${sources.cluster}" to ${describeTarget(wish.target)}: ${told?.because ?? 'no backup'}`,
    {
      hint: `${hintFor(nearest)}${olderHint(wish, sources, kind)}`,
      details: {
        reason: kind,
        nearest: { earlier: momentJson(nearest.earlier), later: momentJson(nearest.later) },
      },
    },
  )
}

function hintFor(nearest: { earlier: Moment | undefined; later: Moment | undefined }): string {
  const places = [
    nearest.earlier === undefined ? undefined : `before it ${describeMoment(nearest.earlier)}`,
    nearest.later === undefined ? undefined : `after it ${describeMoment(nearest.later)}`,
  ].filter((text) => text !== undefined)
  if (places.length === 0) return 'See `backstay backups` and `backstay wal gaps`.'
  return `The nearest moment that can be restored: ${places.join('; ')}.`
}

/** A backup that is too young by itself is no reason to give up. */
function olderHint(
  wish: RestoreWish,
  sources: RestoreSources,
  kind: Refusal['kind'] | undefined,
): string {
  if (kind !== 'too-early' || wish.backup === 'auto' || sources.backups.length === 1) return ''
  return ' Name "auto" as the backup to take the newest one that reaches the target.'
}

function describeMoment(moment: Moment): string {
  const time = moment.timeUs === undefined ? '' : ` (${formatTimeUs(moment.timeUs)})`
  return `LSN ${formatLsn(moment.lsn)}${time} following timeline ${moment.timeline} from backup ${moment.backup}`
}

function momentJson(moment: Moment | undefined): object | null {
  if (moment === undefined) return null
  const { timeline, lsn, timeUs, backup } = moment
  const time = timeUs === undefined ? null : isoTimeUs(timeUs)
  return { backup, timeline, lsn: formatLsn(lsn), time }
}
