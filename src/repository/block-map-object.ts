/**
 * What a WAL segment changes, as an object beside it (docs/repository-format.md §8a). Derived: who
 * misses it, or does not trust it, reads the segment. Bound to the very content of the segment by
 * the checksum that ends the segment's frame.
 */
import { crc32c } from '@node-rs/crc32'
import { BackstayError } from '../errors/backstay-error.ts'
import type { SegmentBlocks } from '../postgres/segment-blocks.ts'
import { decodeSegmentBlocks, ENCODED_BYTES_MAX } from './block-map-bytes.ts'
import { compressFrameAsync, decompressUnknownAsync, frameBound } from './codec.ts'
import { ByteReader, ByteWriter } from './record-bytes.ts'

/** Which content of which segment a map belongs to. */
export interface BlockMapPlace {
  /** Decimal. */
  readonly systemIdentifier: string
  readonly major: number
  /** 24 hex digits. */
  readonly segment: string
  /** The last four bytes of the segment's object. */
  readonly segmentChecksum: number
}

const MAGIC = 'BSBM0001'
const CRC_BYTES = 4

/** Before compression. */
const CONTENT_BYTES_MAX = ENCODED_BYTES_MAX + 4096
/** The object, at most. */
export const BLOCK_MAP_FRAME_MAX = frameBound(CONTENT_BYTES_MAX)

/** A block takes at least so many bytes of WAL; one record names no more than these. */
const WAL_BYTES_PER_BLOCK = 8
const RECORD_BLOCKS = 33

/** The object. `encoded`: what `encodeSegmentBlocks` gave. */
export function sealBlockMap(place: BlockMapPlace, encoded: Uint8Array): Promise<Buffer> {
  const writer = new ByteWriter()
  writer.bytes(headOf(place))
  writer.bytes(encoded)
  writer.u32(crc32c(writer.view()))
  return compressFrameAsync(Buffer.from(writer.view()))
}

/**
 * Reads the object at `name`; undefined when it belongs to another content of the segment.
 * @param segmentBytes of the cluster: no map names more blocks than WAL of that length can
 * @throws {BackstayError} REPOSITORY_DAMAGED
 */
export async function openBlockMap(
  frame: Uint8Array,
  name: string,
  { segmentBytes, ...place }: BlockMapPlace & { readonly segmentBytes: number },
): Promise<SegmentBlocks | undefined> {
  const content = await decompressUnknownAsync(frame, `"${name}"`, CONTENT_BYTES_MAX)
  const end = content.length - CRC_BYTES
  if (end < 0 || crc32c(content.subarray(0, end)) !== content.readUInt32LE(end)) {
    throw damaged(name, 'its checksum is wrong')
  }
  const head = headOf(place)
  if (!content.subarray(0, MAGIC.length).equals(head.subarray(0, MAGIC.length))) {
    throw damaged(name, 'it is no block map that this version knows')
  }
  if (!content.subarray(0, head.length).equals(head)) return undefined
  const blocksMax = Math.floor(segmentBytes / WAL_BYTES_PER_BLOCK) + RECORD_BLOCKS
  try {
    return decodeSegmentBlocks(new ByteReader(content.subarray(0, end), head.length), blocksMax)
  } catch (error) {
    throw damaged(name, error instanceof Error ? error.message : String(error), error)
  }
}

function headOf({ systemIdentifier, major, segment, segmentChecksum }: BlockMapPlace): Buffer {
  const writer = new ByteWriter(64)
  writer.bytes(Buffer.from(MAGIC, 'latin1'))
  writer.u64(BigInt(systemIdentifier))
  writer.byte(major)
  writer.string(segment)
  writer.u32(segmentChecksum)
  return Buffer.from(writer.view())
}

function damaged(name: string, problem: string, cause?: unknown): BackstayError {
  return new BackstayError('REPOSITORY_DAMAGED', `Cannot use "${name}": ${problem}`, { cause })
}
