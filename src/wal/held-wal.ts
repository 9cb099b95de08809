/**
 * Looks up what a repository holds of a cluster's WAL, by names alone.
 */
import { isBackstayError } from '../errors/backstay-error.ts'
import { addBytes, type Lsn } from '../postgres/lsn.ts'
import { parseSegmentName, type Segment, segmentStart } from '../postgres/segment-name.ts'
import { parseTimelineHistory, type TimelineHistory } from '../postgres/timeline.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import type { SegmentSource } from './recover-spool.ts'

/**
 * For each timeline the position after its last finished segment. Lists a few folders, however much
 * WAL there is.
 */
export async function storedEnds(repository: ClusterRepository): Promise<ReadonlyMap<number, Lsn>> {
  const ends = new Map<number, Lsn>()
  const { segmentBytes } = repository.identity
  for (const timeline of await repository.wal.listTimelines()) {
    const last = await lastSegment(repository, timeline)
    if (last === undefined) continue
    ends.set(last.timeline, addBytes(segmentStart(last, segmentBytes), segmentBytes))
  }
  return ends
}

/** The newest finished segment of a timeline (8 hex digits). */
async function lastSegment(
  repository: ClusterRepository,
  timeline: string,
): Promise<Segment | undefined> {
  const { store, names, identity } = repository
  const folder = `${names.wal}/${timeline}`
  for (const high of (await store.listFolders(folder)).toReversed()) {
    const found = (await store.listObjects(`${folder}/${high}`))
      .map((object) => parseSegmentName(object.replace(/\.zst$/, ''), identity.segmentBytes))
      .findLast((segment) => segment !== undefined)
    if (found !== undefined) return found
  }
  return undefined
}

/**
 * The history files held, by timeline. One that is malformed or cannot be read is left out, and
 * told to `onDamaged`.
 */
export async function storedHistories(
  repository: ClusterRepository,
  onDamaged?: (object: string) => void,
): Promise<readonly TimelineHistory[]> {
  const histories: TimelineHistory[] = []
  for (const timeline of await repository.wal.listHistories()) {
    const content = await unlessDamaged(async () => repository.wal.getHistory(timeline))
    const history = content && parseTimelineHistory(timeline, content.toString())
    if (history === undefined) onDamaged?.(repository.names.walHistory(timeline))
    else histories.push(history)
  }
  return histories
}

/**
 * Whole segments from the repository; a damaged one counts as absent: it is only looked at to prove
 * where WAL ends.
 */
export function segmentSource(repository: ClusterRepository): SegmentSource {
  return async (name) => unlessDamaged(async () => repository.wal.getSegment(name))
}

/** What `read` brings; undefined when it is damaged. */
export async function unlessDamaged<T>(read: () => Promise<T | undefined>): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    if (isBackstayError(error, 'REPOSITORY_DAMAGED')) return undefined
    throw error
  }
}
