/**
 * Cuts the tar stream of one archive into entries, in place. Ends at two blocks of zeros or, as
 * servers before 15 send it, without them.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { PushParser } from '../../util/push-parser.ts'
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
export class TarReader extends PushParser {
  readonly #handler: TarHandler
  #state: TarReaderState = 'header'
  #paddingBytes = 0

  constructor(handler: TarHandler) {
    super(TAR_BLOCK_BYTES)
    this.#handler = handler
  }

  /**
   * Says that the archive is over.
   * @throws {BackstayError} POSTGRES_PROTOCOL when it ends inside an entry.
   */
  finish(): void {
    const isComplete = this.#state === 'trailer' || this.#state === 'header'
    if (isComplete && !this.isInsideHeader) return
    throw new BackstayError(
      'POSTGRES_PROTOCOL',
      "Cannot read the server's archive: it ends inside an entry",
    )
  }

  protected step(): void | Promise<void> {
    switch (this.#state) {
      case 'header':
        return this.readHeader()
      case 'body':
        return this.#readBody()
      case 'padding':
        return this.#skipPadding()
      case 'trailer':
        this.at = this.input.length
    }
  }

  protected begin(bytes: Buffer, at: number): void | Promise<void> {
    const entry = parseTarHeader(bytes, at)
    if (entry === undefined) {
      this.#state = 'trailer'
      return
    }
    this.remaining = entry.sizeBytes
    this.#paddingBytes = (TAR_BLOCK_BYTES - (entry.sizeBytes % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES
    const pending = this.#handler.entry(entry)
    if (entry.kind !== 'file') return pending
    this.#state = 'body'
    if (entry.sizeBytes > 0) return pending
    return pending === undefined ? this.#endFile() : pending.then(() => this.#endFile())
  }

  #readBody(): void | Promise<void> {
    const pending = this.#handler.data(this.takePiece())
    if (this.remaining > 0) return pending
    return pending === undefined ? this.#endFile() : pending.then(() => this.#endFile())
  }

  #endFile(): void | Promise<void> {
    this.#state = this.#paddingBytes === 0 ? 'header' : 'padding'
    return this.#handler.endFile()
  }

  #skipPadding(): void {
    const end = Math.min(this.input.length, this.at + this.#paddingBytes)
    this.#paddingBytes -= end - this.at
    this.at = end
    if (this.#paddingBytes === 0) this.#state = 'header'
  }
}
