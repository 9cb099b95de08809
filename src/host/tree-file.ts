/**
 * One file of a local tree while its bytes arrive. Writes are synchronous: a copy into the page
 * cache costs less than handing it to another thread, all the more where the server that sends runs
 * on the same cores.
 */
import {
  close,
  closeSync,
  fdatasync,
  fstatSync,
  ftruncateSync,
  futimesSync,
  writeSync,
} from 'node:fs'
import { promisify } from 'node:util'
import { BackstayError } from '../errors/backstay-error.ts'
import type { TreeFileAttributes } from './host.ts'

const flushFile = promisify(fdatasync)
const closeFile = promisify(close)

/**
 * Files of this size on are flushed one by one while the next ones arrive; smaller ones are left to
 * the sync at the end.
 */
const LARGE_BYTES = 1024 * 1024
const PAGE_BYTES = 8192
const ZERO_PAGE = Buffer.alloc(PAGE_BYTES)

/** @throws FAILED when more bytes than announced came. */
export function checkNotTooLong(path: string, sizeBytes: number, totalBytes: number): void {
  if (totalBytes <= sizeBytes) return
  throw wrongSize(path, `more than the ${sizeBytes} bytes announced came`)
}

/** @throws FAILED when fewer bytes than announced came. */
export function checkComplete(path: string, sizeBytes: number, totalBytes: number): void {
  if (totalBytes === sizeBytes) return
  throw wrongSize(path, `${totalBytes} of ${sizeBytes} bytes came`)
}

/** An open file that gets exactly as many bytes as announced. */
export class TreeFile {
  readonly path: string
  readonly #fd: number
  readonly #attributes: TreeFileAttributes
  #writtenBytes = 0

  constructor(
    file: { readonly path: string; readonly fd: number },
    attributes: TreeFileAttributes,
  ) {
    this.path = file.path
    this.#fd = file.fd
    this.#attributes = attributes
  }

  /** Whether flushing it is worth waiting for beside the next files. */
  get isLarge(): boolean {
    return this.#attributes.sizeBytes >= LARGE_BYTES
  }

  /**
   * Hands the bytes to the kernel; pages of zeros are left to the file system, as the file is new.
   */
  write(chunk: Uint8Array): void {
    const { sizeBytes } = this.#attributes
    checkNotTooLong(this.path, sizeBytes, this.#writtenBytes + chunk.length)
    const beganAt = this.#writtenBytes
    for (const { from, to } of filledStretches(chunk, beganAt)) {
      for (let at = from; at < to;) {
        at += writeSync(this.#fd, chunk, at, to - at, beganAt + at)
      }
    }
    this.#writtenBytes += chunk.length
  }

  /** Gives it its time, once all bytes are there. It stays open. */
  complete(): void {
    const { sizeBytes, modifiedAtMs } = this.#attributes
    checkComplete(this.path, sizeBytes, this.#writtenBytes)
    // Zeros at its end were not written.
    if (fstatSync(this.#fd).size < sizeBytes) ftruncateSync(this.#fd, sizeBytes)
    if (modifiedAtMs !== undefined) futimesSync(this.#fd, modifiedAtMs / 1000, modifiedAtMs / 1000)
  }

  close(): void {
    closeSync(this.#fd)
  }

  /** Resolves when its data is on the disk and it is closed. */
  async flushAndClose(): Promise<void> {
    try {
      await flushFile(this.#fd)
    } finally {
      await closeFile(this.#fd)
    }
  }
}

interface FilledStretch {
  readonly from: number
  readonly to: number
}

/**
 * The parts of a chunk beginning at `position` of its file that are not zeros all over a page, or
 * over as much of one as came.
 */
function filledStretches(chunk: Uint8Array, position: number): readonly FilledStretch[] {
  const stretches: { from: number; to: number }[] = []
  for (let from = 0; from < chunk.length;) {
    const to = Math.min(chunk.length, from + PAGE_BYTES - ((position + from) % PAGE_BYTES))
    const last = stretches.at(-1)
    if (!ZERO_PAGE.subarray(0, to - from).equals(chunk.subarray(from, to))) {
      if (last?.to === from) last.to = to
      else stretches.push({ from, to })
    }
    from = to
  }
  return stretches
}

function wrongSize(path: string, what: string): BackstayError {
  return new BackstayError('FAILED', `Cannot write "${path}": ${what}`)
}
