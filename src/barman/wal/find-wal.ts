/**
 * Finds a WAL file for get-wal. Unlike recovery itself, Barman's clients must ask for unfinished
 * segments expressly. What a finished segment needs is loaded at once, the rest when it is needed:
 * get-wal starts for every segment of a recovery.
 */
import {
  formatSegmentName,
  parseSegmentName,
  parseWalFileName,
} from '../../postgres/segment-name.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import { frameBound } from '../../repository/codec.ts'

/** The file's content; undefined when it is not held, or is unfinished and `partial` is not set. */
export async function findWal(
  repository: ClusterRepository,
  name: string,
  partial: boolean,
): Promise<Buffer | undefined> {
  const isSegment = parseWalFileName(name)?.kind === 'segment'
  const finished = isSegment ? await repository.wal.getSegment(name) : undefined
  if (finished !== undefined) return finished
  const { findElsewhere } = await import('./find-unfinished.ts')
  return await findElsewhere(repository, name, partial)
}

/**
 * A finished segment as it is stored: one zstd frame with its checksum. Undefined when it is held
 * in another form or not at all.
 */
export async function findStoredWal(
  repository: ClusterRepository,
  name: string,
): Promise<Buffer | undefined> {
  if (parseWalFileName(name)?.kind !== 'segment') return undefined
  const { store, names, identity } = repository
  return await store.get(names.walSegment(name), frameBound(identity.segmentBytes))
}

/** Names held from `name` on, without a hole, `most` at most. */
export async function peekWal(
  repository: ClusterRepository,
  name: string,
  most: number,
): Promise<string[]> {
  const { segmentBytes } = repository.identity
  let segment = parseSegmentName(name, segmentBytes)
  const names: string[] = []
  while (segment !== undefined && names.length < most) {
    const next = formatSegmentName(segment, segmentBytes)
    const isHeld = await isHeldWhole(repository, next)
    if (!isHeld) break
    names.push(next)
    segment = { ...segment, number: segment.number + 1n }
  }
  return names
}

async function isHeldWhole(repository: ClusterRepository, name: string): Promise<boolean> {
  if (await repository.wal.hasSegment(name)) return true
  return await (await import('./find-unfinished.ts')).isFinished(repository, name)
}
