/**
 * Cuts the tar stream of one archive into entries, in place. Ends at two blocks of zeros or, as
 * servers before 15 send it, without them.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { parseTarHeader, TAR_BLOCK_BYTES, type TarEntry } from './tar-header.ts'

/** Receives the entries of one archive in order. A returned promise holds the stream back. */
export interface TarHandler {
  entry(entry: TarEntry): void | Promise<void>
  /** A view of the current file's bytes, valid until the call settles. */
  data(chunk: Buffer): void | Promise<void>
  endFile(): void | Promise<void>
}

/** What the next byte belongs to. */
type TarReaderState = 'header' | 'body' | 'padding' | 'trailer'

/** Push parser of one archive. After it threw, or a handler did, it must not be used again. */
export class TarReader {
  readonly #handler: TarHandler
  readonly #scratch = Buffer.alloc(TAR_BLOCK_BYTES)
  #scratchFilled = 0
  #state: TarReaderState = 'header'
  #remaining = 0
  #paddingBytes = 0
  #input: Buffer = this.#scratch
  #at = 0

  constructor(handler: TarHandler) {
    this.#handler = handler
  }

  /**
   * Takes the next bytes; they may be reused once nothing was returned or the promise has settled.
   */
  push(input: Buffer): void | Promise<void> {
    this.#input = input
    this.#at = 0
    while (this.#at < input.length) {
      const pending = this.#step()
      if (pending !== undefined) return this.#resume(pending)
    }
  }

  /**
   * Says that the archive is over.
   * @throws {BackstayError} POSTGRES_PROTOCOL when it ends inside an entry.
   */
  finish(): void {
    const isComplete = this.#state === 'trailer' || this.#state === 'header'
    if (isComplete && this.#scratchFilled === 0) return
    throw new BackstayError(
      'POSTGRES_PROTOCOL',
      "Cannot read the server's archive: it ends inside an entry",
    )
  }

  async #resume(pending: Promise<void>): Promise<void> {
    await pending
    while (this.#at < this.#input.length) {
      const next = this.#step()
      if (next !== undefined) await next
    }
  }

  #step(): void | Promise<void> {
    switch (this.#state) {
      case 'header':
        return this.#readHeader()
      case 'body':
        return this.#readBody()
      case 'padding':
        return this.#skipPadding()
      case 'trailer':
        this.#at = this.#input.length
    }
  }

  #readHeader(): void | Promise<void> {
    const available = this.#input.length - this.#at
    if (this.#scratchFilled === 0 && available >= TAR_BLOCK_BYTES) {
      this.#at += TAR_BLOCK_BYTES
      return this.#begin(this.#input, this.#at - TAR_BLOCK_BYTES)
    }
    const taken = Math.min(TAR_BLOCK_BYTES - this.#scratchFilled, available)
    this.#input.copy(this.#scratch, this.#scratchFilled, this.#at, this.#at + taken)
    this.#scratchFilled += taken
    this.#at += taken
    if (this.#scratchFilled < TAR_BLOCK_BYTES) return
    this.#scratchFilled = 0
    return this.#begin(this.#scratch, 0)
  }

  #begin(bytes: Buffer, at: number): void | Promise<void> {
    const entry = parseTarHeader(bytes, at)
    if (entry === undefined) {
      this.#state = 'trailer'
      return
    }
    this.#remaining = entry.sizeBytes
    this.#paddingBytes = (TAR_BLOCK_BYTES - (entry.sizeBytes % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES
    const pending = this.#handler.entry(entry)
    if (entry.kind !== 'file') return pending
    this.#state = 'body'
    if (entry.sizeBytes > 0) return pending
    return pending === undefined ? this.#endFile() : pending.then(() => this.#endFile())
  }

  #readBody(): void | Promise<void> {
    const end = Math.min(this.#input.length, this.#at + this.#remaining)
    const piece = this.#input.subarray(this.#at, end)
    this.#at = end
    this.#remaining -= piece.length
    const pending = this.#handler.data(piece)
    if (this.#remaining > 0) return pending
    return pending === undefined ? this.#endFile() : pending.then(() => this.#endFile())
  }

  #endFile(): void | Promise<void> {
    this.#state = this.#paddingBytes === 0 ? 'header' : 'padding'
    return this.#handler.endFile()
  }

  #skipPadding(): void {
    const end = Math.min(this.#input.length, this.#at + this.#paddingBytes)
    this.#paddingBytes -= end - this.#at
    this.#at = end
    if (this.#paddingBytes === 0) this.#state = 'header'
  }
}
