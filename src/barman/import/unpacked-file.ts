/**
 * A compressed file of Barman's as a stream of its content. gzip and zstd are Node's; lz4 and bzip2
 * are run as programs.
 */
import { spawn } from 'node:child_process'
import type { Readable, Transform } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { BackstayError } from '../../errors/backstay-error.ts'
import { openRegular } from '../../util/read-regular.ts'

const CHUNK_BYTES = 512 * 1024
/** What a program complains of is told up to here. */
const COMPLAINT_CHARACTERS = 1000

/** Endings of archives and what unpacks them. */
export const ARCHIVE_ENDINGS = ['.tar', '.tar.gz', '.tar.zst', '.tar.lz4', '.tar.bz2'] as const

/** An ending that can be unpacked: `.tar` is taken as it is. */
export type ArchiveEnding = (typeof ARCHIVE_ENDINGS)[number]

/**
 * The content of `path` piece by piece; a piece is the caller's until the next is asked for.
 * @throws {BackstayError} FAILED when it is damaged, or the program that unpacks it is not
 * installed.
 */
export async function* unpackedFile(path: string, ending: ArchiveEnding): AsyncIterable<Buffer> {
  try {
    yield* openStream(path, ending)
  } catch (error) {
    if (error instanceof BackstayError) throw error
    const text = `Cannot unpack "${path}": ${(error as Error).message}`
    throw new BackstayError('FAILED', text, { cause: error })
  }
}

function openStream(path: string, ending: ArchiveEnding): AsyncIterable<Buffer> {
  switch (ending) {
    case '.tar.lz4':
      return unpackedBy(['lz4', '-dc'], path)
    case '.tar.bz2':
      return unpackedBy(['bzip2', '-dc'], path)
    case '.tar.gz':
      return unpackedHere(path, createGunzip({ chunkSize: CHUNK_BYTES }))
    case '.tar.zst':
      return unpackedHere(path, createZstdDecompress({ chunkSize: CHUNK_BYTES }))
    case '.tar':
      break
  }
  return unpackedHere(path, undefined)
}

/** A pipe in the file's place would hold the import up for ever. */
async function* unpackedHere(path: string, unpacker: Transform | undefined): AsyncIterable<Buffer> {
  await using opened = await openRegular(path)
  const file = opened.createReadStream({ highWaterMark: CHUNK_BYTES, autoClose: false })
  const content = unpacker === undefined ? file : unpackBy(file, unpacker)
  yield* content as AsyncIterable<Buffer>
}

function unpackBy(file: Readable, unpacker: Transform): Readable {
  file.on('error', (error) => unpacker.destroy(error))
  unpacker.on('close', () => file.destroy())
  return file.pipe(unpacker)
}

async function* unpackedBy(
  [program = '', ...words]: readonly string[],
  path: string,
): AsyncIterable<Buffer> {
  await using file = await openRegular(path)
  const child = spawn(program, words, { stdio: [file.fd, 'pipe', 'pipe'] })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let complaint = ''
  child.stderr?.on('data', (part: Buffer) => {
    complaint = (complaint + part.toString()).slice(0, COMPLAINT_CHARACTERS)
  })
  child.on('error', reject)
  child.on('close', (code, signal) => {
    if (code === 0) resolve()
    else reject(new Error(`${program} ended with ${signal ?? code}: ${complaint.trim()}`))
  })
  promise.catch(() => undefined)
  try {
    if (child.stdout !== null) yield* child.stdout as AsyncIterable<Buffer>
    await promise
  } finally {
    child.kill('SIGKILL')
  }
}
