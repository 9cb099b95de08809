/**
 * Choosing the backup and the timeline for a wish: every candidate is judged (reach.ts), the newest
 * that reaches the target wins, and when none does the refusals are joined to one that names the
 * nearest moments on both sides.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { formatLsn, type Lsn } from '../postgres/lsn.ts'
import { switchPointOf, type TimelineHistory } from '../postgres/timeline.ts'
import type { BackupInfo } from '../repository/backup-info.ts'
import { type ContinuityMap, historyOf } from '../wal/continuity.ts'
import { leadsTo } from '../wal/needed-wal.ts'
import { timelinesOf } from '../wal/production-line.ts'
import { spellTimeUs } from '../util/local-time.ts'
import { damagedLast, notesOnPassedOver } from './damaged-last.ts'
import { bornTooLate, chooseGoal, type Goal } from './choose-goal.ts'
import {
  type BackupCandidate,
  endOfBackup,
  goalOf,
  judge,
  type Moment,
  type ReachContext,
  type Reached,
  type Refusal,
} from './reach.ts'
import type { RestoreSources } from './restore-sources.ts'
import { isoTimeUs } from './target-time.ts'
import { endOfHeld, heldAlong, historyOrOwn, pathFrom, type TimelinePath } from './timeline-path.ts'
import { findFirst, type FoundPlace, type WalQuestion } from './record-search.ts'
import { describeTarget, type RestoreWish } from './wish.ts'

/** The backup chosen, the way from it, and where recovery will end. */
export interface Choice extends BackupCandidate, Reached {
  readonly timeline: number
}

/**
 * @throws {BackstayError} BACKUP_MISSING, TARGET_UNREACHABLE: with the nearest moments in
 * `details.nearest`, or with the timelines
 *   to choose from in `details.timelines` when it cannot be told which one is meant.
 */
export async function chooseBackup(wish: RestoreWish, sources: RestoreSources): Promise<Choice> {
  const goal = await chooseGoal(wish, sources)
  const refusals: Refusal[] = []
  const searched: Searched = new Map()
  for (const backup of candidatesOf(wish, sources, goal)) {
    const candidate = onTimeline(backup, wish, { sources, goal })
    if ('kind' in candidate) {
      refusals.push(candidate)
      continue
    }
    const verdict = await judge(candidate, wish.target, contextOf(sources, candidate, searched))
    const late = verdict.reachable ? await bornTooLate(candidate, wish, sources) : undefined
    if (verdict.reachable && late === undefined) {
      const notes = [
        ...passedOver(backup, wish, sources),
        ...notesOn(candidate, wish, { sources, goal }),
        ...verdict.notes,
      ]
      const choice = { ...candidate, ...verdict, notes }
      return wish.standbyMode ? choice : onTimelineOfEnd(choice, sources.map)
    }
    refusals.push(late ?? (verdict as Exclude<typeof verdict, { reachable: true }>).refusal)
  }
  throw unreachable(wish, sources, refusals)
}

/**
 * Recovery that ends before its path does is told to follow the timeline it ends on: told a later
 * one, PostgreSQL would write that one into the new history as the parent. Where the older
 * timeline's own file of the last segment is not held the path stays.
 */
function onTimelineOfEnd(choice: Choice, map: ContinuityMap): Choice {
  const { path, endLsn, backup, target } = choice
  const end = path.find(({ to }) => to === undefined || endLsn <= to)
  if (target.type === 'none' || end?.to === undefined) return choice
  const placed = place(backup, end.timeline, map)
  if (!('path' in placed)) return choice
  const isHeld = endOfHeld(heldAlong(placed.path, map), backup.startLsn) >= endLsn
  return isHeld ? { ...choice, ...placed } : choice
}

/** Nothing is passed over for a backup that was named. */
function passedOver(
  chosen: BackupInfo,
  wish: RestoreWish,
  { backups, damage }: RestoreSources,
): readonly string[] {
  if (wish.backup !== 'auto' && wish.backup !== 'latest') return []
  return notesOnPassedOver(chosen, newestFirst(backups), damage)
}

/**
 * Newest first; for a named backup only that one, for `latest` the newest that leads to the goal.
 * Damaged ones come last.
 */
function candidatesOf(
  wish: RestoreWish,
  sources: RestoreSources,
  goal: Goal | undefined,
): readonly BackupInfo[] {
  const ordered = damagedLast(newestFirst(sources.backups), sources.damage)
  const [newest] = ordered
  if (newest === undefined) {
    throw new BackstayError(
      'BACKUP_MISSING',
      `Cannot restore "${sources.cluster}": it has no backup`,
      { hint: 'Take one with `backstay backup`.' },
    )
  }
  if (wish.backup === 'auto') return ordered
  if (wish.backup === 'latest') {
    const timeline =
      goal?.timeline ?? (typeof wish.timeline === 'number' ? wish.timeline : undefined)
    const line = timeline === undefined ? undefined : historyOrOwn(sources.map, timeline)
    const onLine = ordered.find((one) => line !== undefined && leadsTo(one, line))
    return [sources.lines === undefined ? newest : (onLine ?? newest)]
  }
  const named = ordered.find((backup) => backup.id === wish.backup)
  if (named !== undefined) return [named]
  throw new BackstayError(
    'BACKUP_MISSING',
    `Cannot restore "${sources.cluster}": it has no backup "${wish.backup}"`,
  )
}

function newestFirst(backups: readonly BackupInfo[]): readonly BackupInfo[] {
  return backups.toSorted(byEnd).reverse()
}

function byEnd(a: BackupInfo, b: BackupInfo): number {
  const [one, other] = a.finishedAt === b.finishedAt ? [a.id, b.id] : [a.finishedAt, b.finishedAt]
  return one < other ? -1 : 1
}

interface Placed extends BackupCandidate {
  readonly timeline: number
}

/** The path from a backup to the timeline wanted, or why there is none. */
function onTimeline(
  backup: BackupInfo,
  wish: RestoreWish,
  { sources, goal }: { sources: RestoreSources; goal: Goal | undefined },
): Placed | Refusal {
  const { map, backups } = sources
  const known = timelinesOf(map, backups)
  if (wish.timeline === 'current') return place(backup, backup.timeline, map)
  if (wish.timeline === 'latest') {
    const wanted = goal === undefined ? undefined : place(backup, goal.timeline, map)
    if (wanted !== undefined && (wish.backup === 'auto' || 'path' in wanted)) return wanted
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

/** That production, or a newer timeline, is elsewhere must not be passed over. */
function notesOn(
  placed: Placed,
  wish: RestoreWish,
  { sources, goal }: { sources: RestoreSources; goal: Goal | undefined },
): string[] {
  if (wish.timeline !== 'latest') return []
  if (goal?.note !== undefined && goal.timeline === placed.timeline) return [goal.note]
  const production = sources.lines?.current[0]?.timeline
  const newest = timelinesOf(sources.map, sources.backups).at(-1) ?? placed.timeline
  const wanted = production ?? newest
  if (wanted === placed.timeline || wish.target.type === 'immediate') return []
  return [
    production === undefined
      ? `Timeline ${newest} is newer but does not descend from backup ${placed.backup.id}`
      : `Production is on timeline ${production}, to which backup ${placed.backup.id} does not lead`,
  ]
}

/**
 * Candidates of one timeline search the same WAL: what a newer backup has searched already is not
 * read again.
 */
type Searched = Map<number, { from: Lsn; found: FoundPlace | undefined }>

function contextOf(
  sources: RestoreSources,
  candidate: BackupCandidate,
  searched: Searched,
): ReachContext {
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
  const { map, wal, currentTimeline = goalOf(candidate.path) } = sources
  const isCurrent = goalOf(candidate.path) === currentTimeline
  return { map, wal, currentAtUs: isCurrent ? sources.currentAtUs : undefined, find }
}

/** The order in which refusals explain best; a backup that is too young says the least. */
const TELLING = [
  'born-later',
  'gap',
  'after-end',
  'not-found',
  'wal-missing',
  'timeline',
  'too-early',
] as const

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
  const time = moment.timeUs === undefined ? '' : ` (${spellTimeUs(moment.timeUs)})`
  return `LSN ${formatLsn(moment.lsn)}${time} following timeline ${moment.timeline} from backup ${moment.backup}`
}

function momentJson(moment: Moment | undefined): object | null {
  if (moment === undefined) return null
  const { timeline, lsn, timeUs, backup } = moment
  const time = timeUs === undefined ? null : isoTimeUs(timeUs)
  return { backup, timeline, lsn: formatLsn(lsn), time }
}
