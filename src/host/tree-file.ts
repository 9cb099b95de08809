/**
 * One file of a local tree while its bytes arrive.
 */
import { close, closeSync, fdatasync, futimesSync, write, writeSync } from 'node:fs'
import { promisify } from 'node:util'
import { BackstayError } from '../errors/backstay-error.ts'
import type { TreeFileAttributes } from './host.ts'
import { BUFFER_BYTES, Gatherer, type WriteBuffers } from './write-buffers.ts'

const flushFile = promisify(fdatasync)
const closeFile = promisify(close)
const writeAt = promisify(write)

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

/** An open file that gets exactly as many bytes as announced. Calls must not overlap. */
export class TreeFile {
  readonly path: string
  readonly #fd: number
  readonly #attributes: TreeFileAttributes
  readonly #bytes: Gatherer

  constructor(
    file: { readonly path: string; readonly fd: number },
    attributes: TreeFileAttributes,
    buffers: WriteBuffers,
  ) {
    this.path = file.path
    this.#fd = file.fd
    this.#attributes = attributes
    this.#bytes = new Gatherer(buffers, (bytes, position) => writeAll(file.fd, bytes, position))
  }

  /** Whether every byte fits into one buffer: such a file is written and closed at once. */
  get isSmall(): boolean {
    return this.#attributes.sizeBytes < BUFFER_BYTES
  }

  /** Takes the bytes; a promise only when all buffers are full. @throws what an earlier write failed with. */
  write(chunk: Uint8Array): void | Promise<void> {
    const totalBytes = this.#bytes.totalBytes + chunk.length
    checkNotTooLong(this.path, this.#attributes.sizeBytes, totalBytes)
    return this.#bytes.write(chunk)
  }

  /** Ends a small file: written and closed when it returns. */
  finishNow(): void {
    try {
      checkComplete(this.path, this.#attributes.sizeBytes, this.#bytes.totalBytes)
      this.#bytes.drain((bytes) => {
        for (let at = 0; at < bytes.length;) at += writeSync(this.#fd, bytes, at)
      })
      this.#setTime()
    } finally {
      this.#bytes.drain(() => undefined)
      closeSync(this.#fd)
    }
  }

  /** Ends a large file: resolves when its data is on the disk and it is closed. */
  async finish(): Promise<void> {
    try {
      checkComplete(this.path, this.#attributes.sizeBytes, this.#bytes.totalBytes)
      await this.#bytes.flush()
      this.#setTime()
      await flushFile(this.#fd)
    } finally {
      await this.abandon()
    }
  }

  /** Closes it as it is, once nothing is being written to it. */
  async abandon(): Promise<void> {
    await this.#bytes.settle()
    await closeFile(this.#fd)
  }

  #setTime(): void {
    const { modifiedAtMs } = this.#attributes
    if (modifiedAtMs !== undefined) futimesSync(this.#fd, modifiedAtMs / 1000, modifiedAtMs / 1000)
  }
}

function wrongSize(path: string, what: string): BackstayError {
  return new BackstayError('FAILED', `Cannot write "${path}": ${what}`)
}

async function writeAll(fd: number, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    at += (await writeAt(fd, bytes, at, bytes.length - at, position + at)).bytesWritten
  }
}
