/**
 * WAL that a client has compressed, by its first bytes. gzip and zstd are Node's; bzip2, xz and lz4 are run as programs.
 */
import { spawn } from 'node:child_process'
import { promisify } from 'node:util'
import { gunzip, zstdDecompress } from 'node:zlib'
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
/** A segment has 1 GiB at most: what unpacks to more is no WAL. */
const MOST_BYTES = 1024 ** 3
const PROGRAM_TIMEOUT_MS = 120_000

/** The compression, or undefined for a file that is not compressed. No WAL file begins with one of the magics. */
function compressionOf(content: Buffer): Compression | undefined {
  const head = content.toString('hex', 0, 10)
  return MAGICS.find(([, magic]) => head.startsWith(magic))?.[0]
}

/** The content as PostgreSQL wrote it. @throws {BackstayError} WAL_INVALID when it cannot be unpacked. */
export async function decompressWal(name: string, content: Buffer): Promise<Buffer> {
  const compression = compressionOf(content)
  if (compression === undefined) return content
  try {
    return await unpack(compression, content)
  } catch (error) {
    const { message } = error as Error
    throw new BackstayError(
      'WAL_INVALID',
      `Cannot unpack WAL file "${name}" (${compression}): ${message}`,
      { cause: error },
    )
  }
}

async function unpack(compression: Compression, content: Buffer): Promise<Buffer> {
  switch (compression) {
    case 'gzip':
      return await promisify(gunzip)(content, { maxOutputLength: MOST_BYTES })
    case 'zstd':
      return await promisify(zstdDecompress)(content, { maxOutputLength: MOST_BYTES })
    case 'bzip2':
    case 'xz':
    case 'lz4':
      return await pipeThrough([compression, '-dc'], content)
    case 'snappy':
      break
  }
  throw new Error('snappy is not supported yet: use --zstd or --gzip at the client')
}

/** What a program prints when it is given `content`. */
export async function pipeThrough(
  [program = '', ...words]: readonly string[],
  content: Buffer,
): Promise<Buffer> {
  const child = spawn(program, words, {
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: PROGRAM_TIMEOUT_MS,
  })
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const parts: Buffer[] = []
  let [bytes, complaint] = [0, '']
  child.on('error', reject)
  child.stdout.on('data', (part: Buffer) => {
    bytes += part.length
    if (bytes > MOST_BYTES) child.kill('SIGKILL')
    else parts.push(part)
  })
  child.stderr.on('data', (part: Buffer) => {
    if (complaint.length < 1000) complaint += part.toString()
  })
  child.stdin.on('error', () => {})
  child.on('close', (code, signal) => {
    if (code === 0) resolve(Buffer.concat(parts))
    else reject(new Error(`${program} ended with ${signal ?? code}: ${complaint.trim()}`))
  })
  child.stdin.end(content)
  return await promise
}
