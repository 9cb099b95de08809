/**
 * Where `latest` leads: the end of the line production is on, or of the one that was alive at the
 * time wanted. What cannot be told is refused with the choices.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { formatLsn } from '../postgres/lsn.ts'
import type { TimelineHistory } from '../postgres/timeline.ts'
import { spellTimeUs } from '../util/local-time.ts'
import { leadsTo } from '../wal/needed-wal.ts'
import { timelinesOf } from '../wal/production-line.ts'
import { type BackupCandidate, endOfBackup, goalOf, type Refusal } from './reach.ts'
import type { RestoreSources } from './restore-sources.ts'
import { standingAt } from './rival-lines.ts'
import { historyOrOwn } from './timeline-path.ts'
import { describeTarget, type RestoreWish } from './wish.ts'

/** The end of a line that is followed where none is named. */
export interface Goal {
  readonly timeline: number
  /** Why it is not the one production is on. */
  readonly note: string | undefined
}

/**
 * Where `latest` leads; undefined when a timeline is named, or no backup of that line is wanted.
 */
export async function chooseGoal(
  wish: RestoreWish,
  sources: RestoreSources,
): Promise<Goal | undefined> {
  const { lines, map, backups } = sources
  if (wish.timeline !== 'latest') return undefined
  const known = timelinesOf(map, backups)
  if (lines === undefined) return { timeline: known.at(-1) ?? 1, note: undefined }
  const named = backups.find(({ id }) => id === wish.backup)
  const current = lines.current.filter((line) => named === undefined || leadsTo(named, line))
  const [line, ...others] = current
  if (line === undefined || wish.target.type === 'immediate') return undefined
  if (others.length > 0) throw ambiguous(wish, sources, current)
  if (wish.target.type !== 'time') return { timeline: line.timeline, note: undefined }
  const { timeUs } = wish.target
  const { bornUs, rivals } = await standingAt(line, timeUs, { ...sources, known })
  const [rival, ...more] = await livingRivals(rivals, timeUs, sources)
  if (rival === undefined) return { timeline: line.timeline, note: undefined }
  if (more.length > 0) throw ambiguous(wish, sources, [rival, ...more])
  const born = bornUs === undefined ? '' : `, which began at ${spellTimeUs(bornUs)}`
  return {
    timeline: rival.timeline,
    note: `Timeline ${rival.timeline} was alive at that time; production is on timeline ${line.timeline}${born}`,
  }
}

/**
 * Of several lines with rows of that time the one production is recorded to have been on, if it is.
 */
async function livingRivals(
  rivals: readonly number[],
  timeUs: bigint,
  { lines, map }: RestoreSources,
): Promise<readonly TimelineHistory[]> {
  const dead = lines?.abandoned ?? new Set()
  const all = rivals.filter((one) => !dead.has(one)).map((one) => historyOrOwn(map, one))
  const recorded = lines?.past.findLast(({ leftAtMs }) => BigInt(leftAtMs) * 1000n > timeUs)
  const alive = all.filter(({ timeline }) => timeline === recorded?.history.timeline)
  return alive.length === 1 ? alive : all
}

/**
 * A timeline is not followed to a time before its birth when the rows of that time are elsewhere.
 */
export async function bornTooLate(
  { backup, path }: BackupCandidate,
  wish: RestoreWish,
  { map, wal, backups }: RestoreSources,
): Promise<Refusal | undefined> {
  if (wish.target.type !== 'time') return undefined
  const timeline = goalOf(path)
  const history = historyOrOwn(map, timeline)
  const known = timelinesOf(map, backups)
  const { bornUs, rivals } = await standingAt(history, wish.target.timeUs, { map, wal, known })
  if (bornUs === undefined || rivals.length === 0) return undefined
  const because = `timeline ${timeline} goes on at ${spellTimeUs(bornUs)} only; the transactions of that time are on timeline ${rivals.join(', ')} (--target-tli)`
  return { kind: 'born-later', because, earlier: endOfBackup({ backup, path }) }
}

function ambiguous(
  wish: RestoreWish,
  { cluster, map }: RestoreSources,
  lines: readonly TimelineHistory[],
): BackstayError {
  const timelines = lines.map(({ timeline }) => timeline).sort((a, b) => a - b)
  const ends = timelines.map((timeline) => {
    const end = map.ranges.get(timeline)?.at(-1)?.endLsn
    return end === undefined ? `${timeline}` : `${timeline} (held up to ${formatLsn(end)})`
  })
  return new BackstayError(
    'TARGET_UNREACHABLE',
    `Cannot restore "${cluster}" to ${describeTarget(wish.target)}: it cannot be told which timeline is meant, ${ends.join(' or ')}`,
    {
      hint: `Name one with --target-tli, or declare a dead one dead with \`backstay timeline abandon\`; see \`backstay timeline list\`.`,
      details: { reason: 'ambiguous', timelines },
    },
  )
}
