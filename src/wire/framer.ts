/**
 * Cuts the server's bytes into messages, in place: type byte, int32 length, payload. Opens no
 * socket, knows no session. CopyData of any size passes through in pieces and is never gathered;
 * every other message is delivered whole. Source: PostgreSQL documentation, "Message Formats".
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { PushParser } from '../util/push-parser.ts'
import { BACKEND, describeType, isBackendType } from './message-types.ts'

/** Longest payload of a message that must be gathered: everything but CopyData. */
export const MAX_MESSAGE_BYTES = 1024 * 1024
/** Longest CopyData payload: PostgreSQL's own limit of one allocation. */
export const MAX_COPY_DATA_BYTES = 0x3fffffff

const HEADER_BYTES = 5
const LENGTH_FIELD_BYTES = 4

/**
 * Receives the messages in order, one call at a time. A returned promise holds all that follows
 * back until it settles. Every view lies in the receive buffer and is valid until the call settles:
 * copy what must live on.
 */
export interface MessageHandler {
  /** A whole message that is not CopyData. */
  message(type: number, payload: Buffer): void | Promise<void>
  /**
   * A CopyData message of `length` bytes begins; `copyPiece` calls with exactly that many bytes
   * follow, then `copyEnd`.
   */
  copyBegin(length: number): void | Promise<void>
  copyPiece(piece: Buffer): void | Promise<void>
  copyEnd(): void | Promise<void>
}

/** What the next byte belongs to. */
type FramerState = 'header' | 'message' | 'copy'

/**
 * Push parser for one connection's server side. After it threw, or a handler did, it must not be
 * used again.
 */
export class Framer extends PushParser {
  readonly #handler: MessageHandler
  #state: FramerState = 'header'
  #type = 0
  /** A message other than CopyData that is spread over several inputs. */
  #gathered: Buffer | undefined

  /** `push` throws {BackstayError} POSTGRES_PROTOCOL for bytes that no PostgreSQL server sends. */
  constructor(handler: MessageHandler) {
    super(HEADER_BYTES)
    this.#handler = handler
  }

  protected step(): void | Promise<void> {
    switch (this.#state) {
      case 'header':
        return this.readHeader()
      case 'message':
        return this.#readMessage()
      case 'copy':
        return this.#readCopy()
    }
  }

  protected begin(bytes: Buffer, at: number): void | Promise<void> {
    this.#type = bytes[at] ?? 0
    this.remaining = payloadLength(this.#type, bytes.readInt32BE(at + 1))
    if (this.#type === BACKEND.copyData) {
      this.#state = 'copy'
      return this.#beginCopy()
    }
    this.#state = 'message'
    if (this.remaining === 0) return this.#readMessage()
  }

  #beginCopy(): void | Promise<void> {
    const pending = this.#handler.copyBegin(this.remaining)
    if (this.remaining > 0) return pending
    return pending === undefined ? this.#endCopy() : pending.then(() => this.#endCopy())
  }

  #readCopy(): void | Promise<void> {
    const pending = this.#handler.copyPiece(this.takePiece())
    if (this.remaining > 0) return pending
    return pending === undefined ? this.#endCopy() : pending.then(() => this.#endCopy())
  }

  #endCopy(): void | Promise<void> {
    this.#state = 'header'
    return this.#handler.copyEnd()
  }

  #readMessage(): void | Promise<void> {
    const payload = this.#gather()
    if (payload === undefined) return
    this.#state = 'header'
    this.#gathered = undefined
    return this.#handler.message(this.#type, payload)
  }

  /** The whole payload once the input completes it: a view where it has all of it. */
  #gather(): Buffer | undefined {
    const wanted = this.remaining
    const piece = this.takePiece()
    if (this.remaining === 0 && this.#gathered === undefined) return piece
    this.#gathered ??= Buffer.allocUnsafe(wanted)
    piece.copy(this.#gathered, this.#gathered.length - wanted)
    return this.remaining === 0 ? this.#gathered : undefined
  }
}

function payloadLength(type: number, length: number): number {
  const payload = length - LENGTH_FIELD_BYTES
  const limit = type === BACKEND.copyData ? MAX_COPY_DATA_BYTES : MAX_MESSAGE_BYTES
  if (isBackendType(type) && payload >= 0 && payload <= limit) return payload
  throw new BackstayError(
    'POSTGRES_PROTOCOL',
    `Cannot read from the server: message type ${describeType(type)} with length ${length} is not PostgreSQL's`,
  )
}
