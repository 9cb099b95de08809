/**
 * How content becomes frames of the repository and back: zstd, with content checksum and content
 * size. No frame is made or read elsewhere (the standalone reader aside), so a key would be applied
 * here. Source: RFC 8878.
 */
import { promisify } from 'node:util'
import {
  constants,
  zstdCompress,
  zstdCompressSync,
  zstdDecompress,
  zstdDecompressSync,
  type ZstdOptions,
} from 'node:zlib'
import { BackstayError } from '../errors/backstay-error.ts'
import { SKIPPABLE_MAGIC } from './format.ts'

/** The default level: on rows 3 is slower and hardly smaller. */
export const DEFAULT_LEVEL = 1

const compressAsync = promisify(zstdCompress)
const decompressAsync = promisify(zstdDecompress)

/** Compresses in the calling thread. */
export function compressFrame(content: Uint8Array, level = DEFAULT_LEVEL): Buffer {
  return zstdCompressSync(content, compressOptions(content, level))
}

/**
 * Most units compress to less; fresh memory for the worst case would have to be paged in each time.
 */
const UNIT_CHUNK_BYTES = 96 * 1024

/**
 * log2 of the entries in the compressor's hash table; level 1 would take 14. This one is 32 KiB and
 * stays in the first-level cache: a full backup took a tenth less time and came out no larger.
 */
const UNIT_HASH_LOG = 13

/** Compresses pages in the calling thread, a worker's. */
export function compressUnit(content: Uint8Array, level: number): Buffer {
  return zstdCompressSync(content, {
    chunkSize: UNIT_CHUNK_BYTES,
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      [constants.ZSTD_c_checksumFlag]: 1,
      ...(level === DEFAULT_LEVEL && { [constants.ZSTD_c_hashLog]: UNIT_HASH_LOG }),
    },
  })
}

/** Compresses in Node's thread pool. `content` must not change until the promise settles. */
export function compressFrameAsync(content: Uint8Array, level = DEFAULT_LEVEL): Promise<Buffer> {
  return compressAsync(content, compressOptions(content, level))
}

/**
 * Decompresses one frame in the calling thread. `what` names it in the message.
 * @throws {BackstayError} REPOSITORY_DAMAGED when it is damaged or does not hold exactly
 * `rawBytes`.
 */
export function decompressFrame(frame: Uint8Array, rawBytes: number, what: string): Buffer {
  try {
    return checkLength(zstdDecompressSync(frame, decompressOptions(rawBytes)), rawBytes, what)
  } catch (error) {
    throw damaged(what, error)
  }
}

/** `decompressFrame` in Node's thread pool. */
export async function decompressFrameAsync(
  frame: Uint8Array,
  rawBytes: number,
  what: string,
): Promise<Buffer> {
  try {
    return checkLength(await decompressAsync(frame, decompressOptions(rawBytes)), rawBytes, what)
  } catch (error) {
    throw damaged(what, error)
  }
}

/**
 * `decompressFrameAsync` for an object whose length is only in the frame. Holds at most
 * `limitBytes`.
 */
export async function decompressUnknownAsync(
  frame: Uint8Array,
  what: string,
  limitBytes: number,
): Promise<Buffer> {
  try {
    return await decompressAsync(frame, { chunkSize: 1024 * 1024, maxOutputLength: limitBytes })
  } catch (error) {
    throw damaged(what, error)
  }
}

/** Wraps `payload` in a frame that decoders skip. */
export function skippableFrame(payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(8 + payload.byteLength)
  frame.writeUInt32LE(SKIPPABLE_MAGIC, 0)
  frame.writeUInt32LE(payload.byteLength, 4)
  frame.set(payload, 8)
  return frame
}

/** An upper bound of the frame's size for `rawBytes` of content (ZSTD_compressBound). */
export function frameBound(rawBytes: number): number {
  const margin = rawBytes < 131_072 ? (131_072 - rawBytes) >> 11 : 0
  return rawBytes + (rawBytes >> 8) + margin + 32
}

// One output chunk that holds everything: Node's default of 16 KiB halves the speed. Node wants at
// least 64 bytes.
function compressOptions(content: Uint8Array, level: number): ZstdOptions {
  return {
    chunkSize: Math.max(64, frameBound(content.byteLength)),
    params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
  }
}

function decompressOptions(rawBytes: number): ZstdOptions {
  return { chunkSize: Math.max(64, rawBytes), maxOutputLength: Math.max(1, rawBytes) }
}

function checkLength(content: Buffer, rawBytes: number, what: string): Buffer {
  if (content.byteLength === rawBytes) return content
  throw new BackstayError(
    'REPOSITORY_DAMAGED',
    `Cannot decompress ${what}: it holds ${content.byteLength} bytes instead of ${rawBytes}`,
  )
}

function damaged(what: string, error: unknown): BackstayError {
  if (error instanceof BackstayError) return error
  const reason = error instanceof Error ? error.message : String(error)
  return new BackstayError('REPOSITORY_DAMAGED', `Cannot decompress ${what}: ${reason}`, {
    cause: error,
  })
}
