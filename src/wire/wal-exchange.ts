/**
 * Follows the server's answer to START_REPLICATION: COPY in both directions, its end, and what
 * comes after it. Cuts CopyData into WAL and keepalives; sends nothing itself.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { addBytes, type Lsn, parseLsn } from '../postgres/lsn.ts'
import { decodeColumnNames } from './backend-messages.ts'
import { type Exchange, unexpectedMessage } from './conversation.ts'
import { BACKEND } from './message-types.ts'
import { type Row, rowOf } from './rows-exchange.ts'
import {
  decodeKeepalive,
  decodeWalHeader,
  KEEPALIVE,
  KEEPALIVE_BYTES,
  WAL_DATA,
  WAL_DATA_HEADER_BYTES,
  type WalKeepalive,
  type WalDataHeader,
} from './wal-messages.ts'

/** Where a timeline was left, and for which. */
export interface NextTimeline {
  readonly timeline: number
  /** First byte that belongs to it. */
  readonly startLsn: Lsn
}

/** Who is told what comes in. */
export interface WalEvents {
  /** The server agreed to stream. WAL waits until the promise settles. */
  started(): Promise<void>
  /** A piece of WAL: a view into the receive buffer, valid until the call settles. */
  data(position: WalDataHeader, bytes: Buffer): void | Promise<void>
  keepalive(keepalive: WalKeepalive): void
  /** The server sends no more WAL and waits for the other direction to end. */
  copyDone(): void
}

/** One stream's incoming side. */
export class WalExchange implements Exchange {
  readonly action: string
  readonly #events: WalEvents
  readonly #header = Buffer.alloc(WAL_DATA_HEADER_BYTES)
  #headerFilled = 0
  #headerBytes = 0
  #position: WalDataHeader | undefined
  #columns: readonly string[] = []
  #row: Row | undefined
  #state: 'waiting' | 'streaming' | 'done' = 'waiting'
  #isShutdown = false

  constructor(action: string, events: WalEvents) {
    this.action = action
    this.#events = events
  }

  /** The server shut down in order: it said so before it closed. */
  get isShutdown(): boolean {
    return this.#isShutdown
  }

  /** What the server said after the end of a timeline. */
  get nextTimeline(): NextTimeline | undefined {
    if (this.#row === undefined) return undefined
    const timeline = Number(this.#row.get('next_tli')?.toString())
    const startLsn = parseLsn(this.#row.get('next_tli_startpos')?.toString() ?? '')
    if (startLsn !== undefined && Number.isInteger(timeline)) return { timeline, startLsn }
    throw this.#violation('the next timeline is malformed')
  }

  message(type: number, payload: Buffer): void | Promise<void> {
    switch (type) {
      case BACKEND.copyBothResponse:
        this.#state = 'streaming'
        return this.#events.started()
      case BACKEND.copyDone:
        this.#state = 'done'
        this.#events.copyDone()
        return
      case BACKEND.rowDescription:
        this.#columns = decodeColumnNames(payload)
        return
      case BACKEND.dataRow:
        this.#row = rowOf(this.#columns, payload)
        return
      case BACKEND.commandComplete:
        // A walsender that stops with its server completes the command without ending the COPY.
        this.#isShutdown = this.#state === 'streaming'
        return
      default:
        throw unexpectedMessage(this.action, type)
    }
  }

  copyBegin(): void {
    if (this.#state !== 'streaming') throw this.#violation('data came outside of the stream')
    this.#headerFilled = 0
    this.#headerBytes = 1
    this.#position = undefined
  }

  copyPiece(piece: Buffer): void | Promise<void> {
    let at = 0
    while (this.#headerFilled < this.#headerBytes && at < piece.length) {
      const taken = Math.min(this.#headerBytes - this.#headerFilled, piece.length - at)
      piece.copy(this.#header, this.#headerFilled, at, at + taken)
      this.#headerFilled += taken
      at += taken
      if (this.#headerFilled === 1) this.#headerBytes = headerBytesOf(this.#header[0] ?? 0)
    }
    if (at === piece.length) return
    return this.#data(piece.subarray(at))
  }

  copyEnd(): void {
    const isComplete = this.#headerFilled === this.#headerBytes && this.#headerBytes > 1
    if (!isComplete) throw this.#violation('a message of the stream is malformed')
    if (this.#header[0] !== KEEPALIVE) return
    this.#events.keepalive(decodeKeepalive(this.#header.subarray(0, KEEPALIVE_BYTES)))
  }

  #data(bytes: Buffer): void | Promise<void> {
    if (this.#header[0] !== WAL_DATA) throw this.#violation('a message of the stream is malformed')
    const position = this.#position ?? decodeWalHeader(this.#header)
    this.#position = { ...position, startLsn: addBytes(position.startLsn, bytes.length) }
    return this.#events.data(position, bytes)
  }

  #violation(why: string): BackstayError {
    return new BackstayError('POSTGRES_PROTOCOL', `${this.action}: ${why}`)
  }
}

/** Unknown letters get an impossible header, so that the message's end reports them. */
function headerBytesOf(kind: number): number {
  if (kind === WAL_DATA) return WAL_DATA_HEADER_BYTES
  return kind === KEEPALIVE ? KEEPALIVE_BYTES : 1
}
