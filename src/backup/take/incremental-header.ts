/**
 * The head of an INCREMENTAL file: which blocks it holds, and how long the relation file is.
 * Source: PostgreSQL src/include/backup/basebackup_incremental.h,
 * src/bin/pg_combinebackup/reconstruct.c.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { PAGE_BYTES } from '../../repository/format.ts'
import { RELATION_SEGMENT_BLOCKS } from '../../postgres/relation-path.ts'

const MAGIC = 0xd3ae1f0d
const FIXED_BYTES = 12

/** What the head says. Blocks are numbered within the segment file. */
export interface IncrementalHeader {
  /** Blocks whose pages follow, in the order of the pages. */
  readonly blocks: Uint32Array
  /**
   * Blocks of the file at least. Not to where the relation was cut: of those behind a cut nothing
   * is as in the reference (relation-limits.ts).
   */
  readonly truncationBlocks: number
  /** Bytes of the head, padding included. */
  readonly headerBytes: number
  /** Blocks of the relation file. */
  readonly fileBlocks: number
}

/**
 * How many bytes of the file must be there before its head can be read, or read further; undefined
 * once `bytes` are enough.
 * @throws {BackstayError} POSTGRES_PROTOCOL
 */
export function missingHeaderBytes(bytes: Buffer, path: string): number | undefined {
  if (bytes.length < FIXED_BYTES) return FIXED_BYTES
  const needed = headerBytesFor(readCount(bytes, path))
  return bytes.length < needed ? needed : undefined
}

/** Reads a head of which all bytes are there. @throws {BackstayError} POSTGRES_PROTOCOL */
export function parseIncrementalHeader(bytes: Buffer, path: string): IncrementalHeader {
  const count = readCount(bytes, path)
  // Some minor releases of 17 and 18 count on to an end that lies in a later file of the relation.
  const truncationBlocks = Math.min(bytes.readUInt32LE(8), RELATION_SEGMENT_BLOCKS)
  const blocks = Uint32Array.from({ length: count }, (_, n) =>
    bytes.readUInt32LE(FIXED_BYTES + n * 4),
  )
  const fileBlocks = blocks.reduce((end, block) => Math.max(end, block + 1), truncationBlocks)
  if (fileBlocks > RELATION_SEGMENT_BLOCKS) throw invalid(path, `it has ${fileBlocks} blocks`)
  return { blocks, truncationBlocks, fileBlocks, headerBytes: headerBytesFor(count) }
}

function readCount(bytes: Buffer, path: string): number {
  const magic = bytes.readUInt32LE(0)
  if (magic !== MAGIC) throw invalid(path, `it begins with 0x${magic.toString(16)}`)
  const count = bytes.readUInt32LE(4)
  if (count > RELATION_SEGMENT_BLOCKS) throw invalid(path, `it announces ${count} blocks`)
  return count
}

/** Pages begin at a page boundary; a file without pages has no padding. */
function headerBytesFor(count: number): number {
  const bytes = FIXED_BYTES + count * 4
  return count === 0 ? bytes : Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES
}

function invalid(path: string, why: string): BackstayError {
  return new BackstayError('POSTGRES_PROTOCOL', `Cannot read incremental file "${path}": ${why}`)
}
