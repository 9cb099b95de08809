/**
 * The manifest's container: zstd blocks and the table that finds them (docs/repository-format.md
 * §6).
 */
import { crc32c } from '@node-rs/crc32'
import { BackstayError } from '../errors/backstay-error.ts'
import type { ObjectReader } from '../store/store.ts'
import { decompressFrame, frameBound, skippableFrame } from './codec.ts'

const TABLE_MAGIC = 'BSMFIDX1'
const TAIL_BYTES = 16
const FRAME_HEAD_BYTES = 8
/**
 * Blocks are closed at 64 KiB; a single file of very many pieces may be longer. What claims more is
 * not decompressed.
 */
export const RAW_BYTES_MAX = 64 * 1024 * 1024
/** Of one manifest: of 64 GiB of records. The table of all is in memory. */
const BLOCKS_MAX = 2 ** 20

/** One block: where its frame is, and how long frame and content are. */
export interface ManifestBlock {
  readonly offset: number
  readonly storedBytes: number
  readonly rawBytes: number
}

/** The skippable frame that ends a manifest. */
export function encodeBlockTable(blocks: readonly ManifestBlock[]): Buffer {
  const payload = Buffer.allocUnsafe(blocks.length * 8 + TAIL_BYTES)
  blocks.forEach((block, index) => {
    payload.writeUInt32LE(block.storedBytes, index * 8)
    payload.writeUInt32LE(block.rawBytes, index * 8 + 4)
  })
  const pairs = payload.subarray(0, blocks.length * 8)
  payload.writeUInt32LE(blocks.length, pairs.length)
  payload.writeUInt32LE(crc32c(pairs), pairs.length + 4)
  payload.write(TABLE_MAGIC, pairs.length + 8, 'latin1')
  return skippableFrame(payload)
}

/** Reads the block table of manifest `name`. @throws {BackstayError} REPOSITORY_DAMAGED */
export async function readBlockTable(object: ObjectReader, name: string): Promise<ManifestBlock[]> {
  const tail = Buffer.allocUnsafe(TAIL_BYTES)
  if (object.sizeBytes < TAIL_BYTES) throw damagedTable(name)
  await object.read(object.sizeBytes - TAIL_BYTES, tail)
  const blockCount = tail.readUInt32LE(0)
  const pairsBytes = blockCount * 8
  const tableAt = object.sizeBytes - TAIL_BYTES - pairsBytes
  if (
    tail.toString('latin1', 8) !== TABLE_MAGIC ||
    tableAt < FRAME_HEAD_BYTES ||
    blockCount > BLOCKS_MAX
  ) {
    throw damagedTable(name)
  }
  const pairs = Buffer.allocUnsafe(pairsBytes)
  await object.read(tableAt, pairs)
  const blocks = splitPairs(pairs, name)
  const last = blocks.at(-1)
  const end = last === undefined ? 0 : last.offset + last.storedBytes
  if (crc32c(pairs) !== tail.readUInt32LE(4) || end !== tableAt - FRAME_HEAD_BYTES) {
    throw damagedTable(name)
  }
  return blocks
}

/** Reads and decompresses one block of manifest `name`. */
export async function readBlock(
  object: ObjectReader,
  name: string,
  block: ManifestBlock,
): Promise<Buffer> {
  const frame = Buffer.allocUnsafe(block.storedBytes)
  await object.read(block.offset, frame)
  return decompressFrame(frame, block.rawBytes, `a block of "${name}"`)
}

function splitPairs(pairs: Buffer, name: string): ManifestBlock[] {
  const blocks: ManifestBlock[] = []
  let offset = 0
  for (let at = 0; at < pairs.length; at += 8) {
    const storedBytes = pairs.readUInt32LE(at)
    const rawBytes = pairs.readUInt32LE(at + 4)
    if (rawBytes > RAW_BYTES_MAX || storedBytes > frameBound(rawBytes)) throw damagedTable(name)
    blocks.push({ offset, storedBytes, rawBytes })
    offset += storedBytes
  }
  return blocks
}

function damagedTable(name: string): BackstayError {
  return new BackstayError(
    'REPOSITORY_DAMAGED',
    `Cannot read "${name}": its block table is damaged`,
  )
}
