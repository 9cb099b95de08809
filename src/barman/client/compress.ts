/**
 * Compression at the client, before WAL goes over the network.
 */
import { promisify } from 'node:util'
import { constants, gzip, zstdCompress } from 'node:zlib'
import { pipeThrough } from '../wal/pipe-through.ts'
import { ClientError, USAGE_EXIT_CODE } from './client-program.ts'

/** The ways to compress, by the names of their options. */
export const CLIENT_COMPRESSIONS = ['gzip', 'bzip2', 'xz', 'snappy', 'zstd', 'lz4'] as const

/** A way to compress, by the option that asks for it. */
export type ClientCompression = (typeof CLIENT_COMPRESSIONS)[number]

/** Barman's low, medium and high for each. */
const LEVELS: Readonly<
  Record<ClientCompression, readonly [low: number, medium: number, high: number]>
> = {
  gzip: [1, 6, 9],
  bzip2: [1, 5, 9],
  xz: [1, 3, 5],
  snappy: [0, 0, 0],
  zstd: [1, 4, 9],
  lz4: [1, 6, 10],
}

/** The level that a word or number means. @throws {ClientError} */
function levelOf(compression: ClientCompression, word: string): number {
  const [low, medium, high] = LEVELS[compression]
  const named = { low, medium, high }[word]
  if (named !== undefined) return named
  if (/^-?\d+$/.test(word)) return Number(word)
  throw new ClientError(`"${word}" is no compression level`, USAGE_EXIT_CODE)
}

/** The bytes to send. @throws {ClientError} for snappy */
export async function compress(
  content: Buffer,
  compression: ClientCompression | undefined,
  level: string,
): Promise<Buffer> {
  if (compression === undefined) return content
  const value = levelOf(compression, level)
  switch (compression) {
    case 'gzip':
      return await promisify(gzip)(content, { level: value })
    case 'zstd':
      return await promisify(zstdCompress)(content, {
        params: { [constants.ZSTD_c_compressionLevel]: value },
      })
    case 'bzip2':
    case 'xz':
    case 'lz4':
      return await pipeThrough([compression, `-${value}`, '-c'], content)
    case 'snappy':
      break
  }
  throw new ClientError('snappy is not supported: use --zstd or --gzip', USAGE_EXIT_CODE)
}
