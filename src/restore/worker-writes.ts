/**
 * Writes files of a backup straight from its packs: read a unit, decompress, write its pieces to
 * their places. Runs in a worker, where blocking file calls are the fastest. Nothing is synced
 * here: one barrier at the end does that (restore.ts).
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  ftruncateSync,
  futimesSync,
  openSync,
  readSync,
  writeSync,
  writevSync,
} from 'node:fs'
import { crc32c } from '@node-rs/crc32'
import { filePath } from '../util/byte-path.ts'
import { PAGE_BYTES } from '../repository/format.ts'
import type { Extent } from '../repository/manifest-entry.ts'
import { BackstayError } from '../errors/backstay-error.ts'
import type { CheckJob, FileJob, JobResult, Owner } from './worker-job.ts'
import type { UnitSource } from './unit-source.ts'

/** Pieces gathered for one write, and their bytes: enough to keep the number of calls small. */
const GATHERED_PIECES = 64
const GATHERED_BYTES = 1024 * 1024

const CHECK_BYTES = 1024 * 1024

const { O_RDONLY, O_RDWR, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = constants

/** Where a job's file is, by a descriptor of its directory, and whose it becomes. */
export interface FilePlace {
  readonly path: string
  readonly owner: Owner | undefined
}

/**
 * Writes one stretch of a file.
 * @throws {BackstayError} REPOSITORY_DAMAGED; Node's error when the file cannot be written.
 */
export async function writeStretch(
  units: UnitSource,
  job: FileJob,
  { path, owner }: FilePlace,
): Promise<JobResult> {
  const file = openSync(filePath(path), flagsOf(job), job.mode)
  try {
    checkOwn(file, job, owner)
    const result = isRightAlready(file, job)
      ? { crc32c: job.expectedCrc32c ?? 0, writtenBytes: 0 }
      : await fill(file, units, job)
    giveAttributes(file, job, owner)
    return result
  } finally {
    closeSync(file)
  }
}

/** Reads a stretch of a file that is there and computes its CRC. */
export function checkStretch(path: string, job: CheckJob): JobResult {
  const file = openSync(filePath(path), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  try {
    return { crc32c: crcOf(file, job), writtenBytes: 0 }
  } finally {
    closeSync(file)
  }
}

async function fill(file: number, units: UnitSource, job: FileJob): Promise<JobResult> {
  const output = job.how === 'correct' ? new Corrector(file, job) : new Gatherer(file, job)
  let crc = 0
  for await (const piece of piecesOf(units, job.extents, output)) {
    crc = crc32c(piece, crc)
    output.add(piece)
  }
  output.flush()
  return { crc32c: crc, writtenBytes: output.writtenBytes }
}

/** What was there before us can be another name of a file outside, or no file. */
function checkOwn(file: number, job: FileJob, owner: Owner | undefined): void {
  const found = fstatSync(file)
  const isForeign = owner !== undefined && found.uid !== owner.uid && found.nlink > 1
  if (found.isFile() && !isForeign) return
  throw new BackstayError(
    'DIRECTORY_FOREIGN',
    `Cannot write "${job.path}": ${isForeign ? 'it is a second name of another user’s file' : 'no file is there'}`,
  )
}

function isRightAlready(file: number, job: FileJob): boolean {
  if (job.how !== 'correct' || job.expectedCrc32c === undefined) return false
  if (fstatSync(file).size !== job.sizeBytes) return false
  return crcOf(file, { position: 0, length: job.sizeBytes }) === job.expectedCrc32c
}

function crcOf(file: number, stretch: { position: number; length: number }): number {
  const buffer = Buffer.allocUnsafe(Math.min(CHECK_BYTES, stretch.length))
  let crc = 0
  for (let done = 0; done < stretch.length;) {
    const wanted = Math.min(buffer.length, stretch.length - done)
    const count = readSync(file, buffer, 0, wanted, stretch.position + done)
    if (count === 0) break
    crc = crc32c(buffer.subarray(0, count), crc)
    done += count
  }
  return crc
}

function flagsOf(job: FileJob): number {
  switch (job.how) {
    case 'create':
      return O_WRONLY | O_CREAT | O_EXCL
    case 'fill':
      return O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK
    case 'correct':
      break
  }
  return O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK
}

/**
 * The content of the extents in order; a piece is valid until `output` has to be flushed for a
 * later one.
 */
async function* piecesOf(
  units: UnitSource,
  extents: readonly Extent[],
  output: PieceOutput,
): AsyncGenerator<Buffer> {
  for (const [index, extent] of extents.entries()) {
    if (extent.unit === undefined) {
      yield* zeros(extent.length)
      continue
    }
    const content = await units.unit(extent.unit, () => output.flush())
    const next = extents[index + 1]?.unit
    // The next unit is read while this one is written.
    if (next !== undefined && next !== extent.unit) units.readAhead(next)
    yield content.subarray(extent.unitOffset, extent.unitOffset + extent.length)
  }
}

const ZEROS = Buffer.alloc(64 * PAGE_BYTES)

function* zeros(length: number): Generator<Buffer> {
  for (let left = length; left > 0; left -= ZEROS.length) {
    yield ZEROS.subarray(0, Math.min(left, ZEROS.length))
  }
}

/** Takes the pieces of a stretch in order. */
interface PieceOutput {
  readonly writtenBytes: number
  add(piece: Buffer): void
  flush(): void
}

/**
 * Writes all pieces, many with one call. Whole pages of zeros are left to the file system: the file
 * is new.
 */
class Gatherer implements PieceOutput {
  writtenBytes = 0
  readonly #file: number
  #position: number
  #pieces: Buffer[] = []
  #bytes = 0

  constructor(file: number, job: FileJob) {
    this.#file = file
    this.#position = job.position
  }

  add(piece: Buffer): void {
    if (piece.buffer === ZEROS.buffer && piece.length % PAGE_BYTES === 0)
      return this.#skip(piece.length)
    this.#pieces.push(piece)
    this.#bytes += piece.length
    if (this.#bytes >= GATHERED_BYTES || this.#pieces.length >= GATHERED_PIECES) this.flush()
  }

  flush(): void {
    if (this.#bytes === 0) return
    const written = writevSync(this.#file, this.#pieces, this.#position)
    if (written < this.#bytes) this.#writeRest(this.#position, written)
    this.#position += this.#bytes
    this.writtenBytes += this.#bytes
    this.#pieces = []
    this.#bytes = 0
  }

  #skip(bytes: number): void {
    this.flush()
    this.#position += bytes
    this.writtenBytes += bytes
  }

  #writeRest(position: number, written: number): void {
    const whole = Buffer.concat(this.#pieces)
    if (whole.length !== this.#bytes)
      throw new BackstayError('BUG', 'A piece was released too early')
    writeRest(this.#file, whole, { written, position })
  }
}

/** Compares with what is there and writes only the pages that differ. */
class Corrector implements PieceOutput {
  writtenBytes = 0
  readonly #file: number
  readonly #oldBytes: number
  #position: number

  constructor(file: number, job: FileJob) {
    this.#file = file
    this.#position = job.position
    this.#oldBytes = fstatSync(file).size
  }

  add(piece: Buffer): void {
    const old = this.#readOld(piece.length)
    if (!old.equals(piece)) this.#correct(piece, old)
    this.#position += piece.length
  }

  flush(): void {}

  #readOld(length: number): Buffer {
    const there = Math.max(0, Math.min(length, this.#oldBytes - this.#position))
    const old = Buffer.allocUnsafe(there)
    let done = 0
    while (done < there) {
      const count = readSync(this.#file, old, done, there - done, this.#position + done)
      if (count === 0) break
      done += count
    }
    return old.subarray(0, done)
  }

  #correct(piece: Buffer, old: Buffer): void {
    for (let at = 0; at < piece.length; at += PAGE_BYTES) {
      const page = piece.subarray(at, at + PAGE_BYTES)
      if (page.equals(old.subarray(at, at + PAGE_BYTES))) continue
      writeRest(this.#file, page, { written: 0, position: this.#position + at })
      this.writtenBytes += page.length
    }
  }
}

/**
 * A short write is legal (quota about to be hit): the rest is written, or fails with its reason.
 */
function writeRest(
  file: number,
  bytes: Buffer,
  at: { readonly written: number; readonly position: number },
): void {
  for (let done = at.written; done < bytes.length;) {
    done += writeSync(file, bytes, done, bytes.length - done, at.position + done)
  }
}

/** Every stretch does it: the one that ends last has the last word on the time. */
function giveAttributes(file: number, job: FileJob, owner: Owner | undefined): void {
  const found = fstatSync(file)
  // Zeros at its end were not written. Of a file of several stretches none cuts off what another
  // wrote.
  const isShort = found.size < job.sizeBytes && job.extents.length > 0
  const isLong = job.how === 'correct' && found.size > job.sizeBytes
  if (isShort || isLong) ftruncateSync(file, job.sizeBytes)
  if (owner !== undefined && (found.uid !== owner.uid || found.gid !== owner.gid)) {
    fchownSync(file, owner.uid, owner.gid)
  }
  if ((found.mode & 0o7777) !== job.mode) fchmodSync(file, job.mode)
  futimesSync(file, job.modifiedAtMs / 1000, job.modifiedAtMs / 1000)
}
