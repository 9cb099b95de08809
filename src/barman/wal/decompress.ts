/**
 * WAL that a client has compressed, by its first bytes. gzip and zstd are Node's, Snappy is
 * unpacked here; bzip2, xz and lz4 are run as programs.
 */
import { promisify } from 'node:util'
import { gunzip, zstdDecompress } from 'node:zlib'
import { MOST_SEGMENT_BYTES } from '../../postgres/segment-name.ts'
import { walBytesMax } from '../../repository/wal-objects.ts'
import { BackstayError } from '../../errors/backstay-error.ts'

/** How a file is compressed. */
export type Compression = 'gzip' | 'zstd' | 'bzip2' | 'xz' | 'lz4' | 'snappy'

const MAGICS: readonly (readonly [Compression, string])[] = [
  ['gzip', '1f8b08'],
  ['bzip2', '425a68'],
  ['xz', 'fd377a585a00'],
  ['zstd', '28b52ffd'],
  ['lz4', '04224d18'],
  ['snappy', 'ff060000734e61507059'],
]

/**
 * The compression, or undefined for a file that is not compressed. No WAL file begins with one of
 * the magics.
 */
function compressionOf(content: Buffer): Compression | undefined {
  const head = content.toString('hex', 0, 10)
  return MAGICS.find(([, magic]) => head.startsWith(magic))?.[0]
}

/**
 * The most a waiting file may have, compressed or not: what is compressed may have become a little
 * longer.
 */
export function incomingBytesMax(name: string): number {
  return walBytesMax(name, MOST_SEGMENT_BYTES) + 1024 * 1024
}

/**
 * The content as PostgreSQL wrote it.
 * @throws {BackstayError} WAL_INVALID when it cannot be unpacked.
 */
export async function decompressWal(name: string, content: Buffer): Promise<Buffer> {
  const compression = compressionOf(content)
  if (compression === undefined) return content
  try {
    return await unpack(compression, content, walBytesMax(name, MOST_SEGMENT_BYTES))
  } catch (error) {
    const { message } = error as Error
    throw new BackstayError(
      'WAL_INVALID',
      `Cannot unpack WAL file "${name}" (${compression}): ${message}`,
      { cause: error },
    )
  }
}

async function unpack(
  compression: Compression,
  content: Buffer,
  mostBytes: number,
): Promise<Buffer> {
  switch (compression) {
    case 'gzip':
      return await promisify(gunzip)(content, { maxOutputLength: mostBytes })
    case 'zstd':
      return await promisify(zstdDecompress)(content, { maxOutputLength: mostBytes })
    case 'bzip2':
    case 'xz':
    case 'lz4':
      return await (
        await import('./pipe-through.ts')
      ).pipeThrough([compression, '-dc'], content, mostBytes)
    case 'snappy':
      break
  }
  return (await import('./snappy.ts')).unpackSnappy(content, mostBytes)
}
