/**
 * Looks for WAL beside the finished segments of the repository: history files, the receiver's
 * spool, partial segments.
 */
import {
  formatSegmentName,
  parseSegmentName,
  type Segment,
  segmentStart,
} from '../../postgres/segment-name.ts'
import { addBytes } from '../../postgres/lsn.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import { segmentSource } from '../../wal/held-wal.ts'
import { syncedByReceiver } from '../../wal/load-continuity.ts'
import { readWalFile } from '../../wal/read-wal-file.ts'
import { inspectSpool } from '../../wal/recover-spool.ts'
import { spoolOf } from '../../wal/spool-place.ts'

/** The file's content; undefined when it is not held, or is unfinished and `partial` is not set. */
export async function findElsewhere(
  repository: ClusterRepository,
  name: string,
  partial: boolean,
): Promise<Buffer | undefined> {
  const found = await readWalFile(repository, name)
  if (found === undefined || partial || found.from === 'repository') return found?.content
  if (found.from === 'partial') return name.endsWith('.partial') ? found.content : undefined
  return (await isFinished(repository, name)) ? found.content : undefined
}

/** Whether a segment in the spool is whole. */
export async function isFinished(repository: ClusterRepository, name: string): Promise<boolean> {
  const { segmentBytes } = repository.identity
  const segment = parseSegmentName(name, segmentBytes)
  if (segment === undefined) return false
  const synced = await syncedByReceiver(repository)
  const isSynced =
    synced?.timeline === segment.timeline &&
    synced.lsn >= addBytes(segmentStart(segment, segmentBytes), segmentBytes)
  if (isSynced) return await isInSpool(repository, segment)
  const content = await inspectSpool(spoolOf(repository), segmentSource(repository), synced)
  return content.finished.some((one) => isSame(one.segment, segment))
}

async function isInSpool(repository: ClusterRepository, segment: Segment): Promise<boolean> {
  const name = formatSegmentName(segment, repository.identity.segmentBytes)
  return (await readWalFile(repository, name)) !== undefined
}

function isSame(a: Segment, b: Segment): boolean {
  return a.timeline === b.timeline && a.number === b.number
}
