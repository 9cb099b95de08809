/**
 * The framing of archives inside one COPY that servers from 15 on use: each CopyData starts with a
 * letter that says what it holds: `n` a new archive, `m` the manifest, `d` bytes of the current
 * one, `p` progress. Source: PostgreSQL documentation, "Streaming Replication Protocol",
 * BASE_BACKUP.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { MessageReader } from './message-reader.ts'

/** Longest `n` frame: two paths. */
const MAX_NAME_FRAME_BYTES = 8192

const DATA = 0x64
const MANIFEST = 0x6d
const NEW_ARCHIVE = 0x6e
const PROGRESS = 0x70

/** Takes the bytes of one archive or of the manifest. */
export interface ArchiveConsumer {
  push(bytes: Buffer): void | Promise<void>
  /** No more bytes come. */
  finish(): void
}

/** Makes the consumers, in the order in which the server sends. */
export interface ArchiveOpener {
  archive(name: string): ArchiveConsumer
  manifest(): ArchiveConsumer
}

/** Follows the frames of one COPY. */
export class ArchiveFrames {
  readonly #opener: ArchiveOpener
  #consumer: ArchiveConsumer | undefined
  /** Letter of the current frame; undefined before its first byte. */
  #kind: number | undefined
  #name: Buffer[] = []
  #length = 0

  constructor(opener: ArchiveOpener) {
    this.#opener = opener
  }

  /** A CopyData message begins. */
  begin(length: number): void {
    this.#kind = undefined
    this.#length = length
  }

  /** Bytes of the current message; a view, valid until the call settles. */
  push(piece: Buffer): void | Promise<void> {
    if (this.#kind !== undefined) return this.#take(piece)
    this.#kind = piece[0]
    if (this.#kind === NEW_ARCHIVE && this.#length > MAX_NAME_FRAME_BYTES) throw malformed('a name')
    if (this.#kind === MANIFEST) this.#open(this.#opener.manifest())
    return piece.length > 1 ? this.#take(piece.subarray(1)) : undefined
  }

  /** The current message is complete. */
  end(): void {
    if (this.#kind !== NEW_ARCHIVE) return
    const name = new MessageReader(Buffer.concat(this.#name)).text()
    this.#name = []
    this.#open(this.#opener.archive(name))
  }

  /** The COPY is over. */
  finish(): void {
    this.#consumer?.finish()
  }

  #open(consumer: ArchiveConsumer): void {
    this.#consumer?.finish()
    this.#consumer = consumer
  }

  #take(bytes: Buffer): void | Promise<void> {
    switch (this.#kind) {
      case DATA:
        if (this.#consumer === undefined) throw malformed('data before its archive')
        return this.#consumer.push(bytes)
      case NEW_ARCHIVE:
        this.#name.push(Buffer.from(bytes))
        return
      case PROGRESS:
        return
      case undefined:
      default:
        throw malformed('a frame')
    }
  }
}

function malformed(what: string): BackstayError {
  return new BackstayError(
    'POSTGRES_PROTOCOL',
    `Cannot read the server's base backup: ${what} is malformed or out of place`,
  )
}
