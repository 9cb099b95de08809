/**
 * What is needed to judge a segment, from the repository; and storing one that was judged.
 */
import { BackstayError, isBackstayError } from '../errors/backstay-error.ts'
import { addBytes, type Lsn } from '../postgres/lsn.ts'
import { checkSegment, type NamedSegment } from '../postgres/segment-chain.ts'
import {
  formatSegmentName,
  parseSegmentName,
  segmentOf,
  segmentStart,
} from '../postgres/segment-name.ts'
import { parseTimelineHistory, type TimelineHistory, timelineOf } from '../postgres/timeline.ts'
import type { WalRecord } from '../postgres/wal-record.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { segmentSource, unlessDamaged } from './held-wal.ts'

/**
 * The ancestry of a timeline as held; undefined when its history file is not held or cannot be
 * read.
 */
export async function heldHistory(
  repository: ClusterRepository,
  timeline: number,
): Promise<TimelineHistory | undefined> {
  if (timeline === 1) return { timeline, switches: [] }
  const content = await unlessDamaged(async () => repository.wal.getHistory(timeline))
  return content && parseTimelineHistory(timeline, content.toString())
}

/** The segment that recovery reads before segment `name`, when it is held and can be read. */
export async function heldBefore(
  repository: ClusterRepository,
  name: string,
  history: TimelineHistory | undefined,
): Promise<NamedSegment | undefined> {
  const before = nameBefore(name, repository.identity.segmentBytes, history)
  const content = before === undefined ? undefined : await segmentSource(repository)(before)
  return before === undefined || content === undefined ? undefined : { name: before, content }
}

/** Name of the segment that recovery reads before segment `name`. */
function nameBefore(
  name: string,
  segmentBytes: number,
  history: TimelineHistory | undefined,
): string | undefined {
  const segment = parseSegmentName(name, segmentBytes)
  if (segment === undefined || segment.number === 0n) return undefined
  const lastLsn: Lsn = addBytes(segmentStart(segment, segmentBytes), -1)
  const timeline = history === undefined ? segment.timeline : timelineOf(history, lastLsn)
  return formatSegmentName(segmentOf(lastLsn, { timeline, segmentBytes }), segmentBytes)
}

/**
 * Judges a segment together with the one held before it. Returns what is wrong, in words without
 * full stop.
 */
export async function judgeSegment(
  repository: ClusterRepository,
  segment: NamedSegment,
  onRecord?: (record: WalRecord) => void,
): Promise<string | undefined> {
  const { identity } = repository
  const timeline = Number.parseInt(segment.name.slice(0, 8), 16)
  const history = await heldHistory(repository, timeline)
  const before = await heldBefore(repository, segment.name, history)
  const { systemIdentifier, major, segmentBytes } = identity
  const expected = { systemIdentifier, major, segmentBytes, history, before }
  return checkSegment(segment, { ...expected, ...(onRecord && { onRecord }) })
}

/** How a segment was stored: `replaced` when a damaged one of its name was set aside. */
export type StoreOutcome = 'stored' | 'present' | 'replaced'

/**
 * Stores a segment that was judged and found right. One that is there with other content is kept,
 * unless it is damaged: then it is set aside, and this one takes its place.
 * @throws {BackstayError} WAL_CONFLICT, STORE, DISK_SPACE
 */
export async function storeJudged(
  repository: ClusterRepository,
  segment: NamedSegment,
): Promise<StoreOutcome> {
  const { wal } = repository
  const { name, content } = segment
  try {
    return await wal.putSegment(name, content)
  } catch (error) {
    if (!isBackstayError(error, 'WAL_CONFLICT') && !isBackstayError(error, 'REPOSITORY_DAMAGED')) {
      throw error
    }
    if (!(await isDamaged(repository, name))) throw error
    await wal.setAside(name, 'damaged')
    await wal.putSegment(name, content)
    return 'replaced'
  }
}

async function isDamaged(repository: ClusterRepository, name: string): Promise<boolean> {
  const content = await segmentSource(repository)(name)
  return content === undefined || (await judgeSegment(repository, { name, content })) !== undefined
}

/** The error for a segment that is not what it should be. */
export function invalidSegment(name: string, problem: string): BackstayError {
  return new BackstayError('WAL_INVALID', `Cannot store WAL file "${name}": ${problem}`)
}
