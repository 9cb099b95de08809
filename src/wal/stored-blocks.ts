/**
 * Block maps as they lie beside their segments. They are derived: what cannot be read, or belongs
 * to another content of the segment, is as if it were not there.
 */
import { isBackstayError } from '../errors/backstay-error.ts'
import type { SegmentBlocks } from '../postgres/segment-blocks.ts'
import {
  BLOCK_MAP_FRAME_MAX,
  type BlockMapPlace,
  openBlockMap,
  sealBlockMap,
} from '../repository/block-map-object.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { unlessDamaged } from './held-wal.ts'

/**
 * Stores the map of a finished segment that is held; one that is there is replaced. Nothing when
 * the segment is not held.
 * @param encoded as `encodeSegmentBlocks` gave it, of the very content that is held
 * @throws {BackstayError} STORE, DISK_SPACE
 */
export async function storeBlocks(
  repository: ClusterRepository,
  segment: string,
  encoded: Uint8Array,
): Promise<void> {
  const place = await placeOf(repository, segment)
  if (place === undefined) return
  const { store, names } = repository
  await store.replace(names.walBlocks(segment), await sealBlockMap(place, encoded))
}

/** The same where it is allowed and there is room: who only reads can do without. */
export async function tryStoreBlocks(
  ...[repository, segment, encoded]: Parameters<typeof storeBlocks>
): Promise<void> {
  try {
    await storeBlocks(repository, segment, encoded)
  } catch (error) {
    if (!isBackstayError(error)) throw error
  }
}

/**
 * The map of a finished segment (24 hex digits); undefined when there is none that can be used.
 * @throws {BackstayError} STORE
 */
export async function storedBlocks(
  repository: ClusterRepository,
  segment: string,
): Promise<SegmentBlocks | undefined> {
  const { store, names, identity } = repository
  const name = names.walBlocks(segment)
  return await unlessDamaged(async () => {
    const frame = await store.get(name, BLOCK_MAP_FRAME_MAX)
    const place = frame && (await placeOf(repository, segment))
    if (frame === undefined || place === undefined) return undefined
    return await openBlockMap(frame, name, { ...place, segmentBytes: identity.segmentBytes })
  })
}

async function placeOf(
  { wal, identity }: ClusterRepository,
  segment: string,
): Promise<BlockMapPlace | undefined> {
  const segmentChecksum = await wal.segmentChecksum(segment)
  if (segmentChecksum === undefined) return undefined
  const { systemIdentifier, major } = identity
  return { systemIdentifier, major, segment, segmentChecksum }
}
