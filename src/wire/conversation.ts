/**
 * Question and answer on one connection: sends a request, hands the server's messages to whoever
 * asked, and ends with ReadyForQuery or an error. Keeps what the server says in passing:
 * parameters, key for cancelling.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import {
  decodeBackendKey,
  decodeParameterStatus,
  decodeServerMessage,
  type ServerMessage,
} from './backend-messages.ts'
import { Framer, type MessageHandler } from './framer.ts'
import type { BackendKey } from './frontend-messages.ts'
import { BACKEND, describeType } from './message-types.ts'
import { networkError } from './network-error.ts'
import { serverError } from './server-error.ts'
import type { Transport, TransportEnd } from './transport.ts'

/**
 * One request and its answer. Gets every message but errors, notices, parameters and ReadyForQuery.
 * An exchange without the `copy…` methods treats CopyData as a violation of the protocol.
 */
export interface Exchange extends Partial<Omit<MessageHandler, 'message'>> {
  /** Start of the sentence of an error: `Cannot identify db1:5432`. */
  readonly action: string
  readonly message: MessageHandler['message']
  notice?(notice: ServerMessage): void
}

/** Settings a server may report, and the length of one's value. */
const MAX_PARAMETERS = 256
const MAX_PARAMETER_LENGTH = 64 * 1024

/** How long and until when an answer is waited for. */
export interface ExchangeOptions {
  readonly request?: Buffer
  /** The longest silence of the server; 0 waits for ever. */
  readonly idleTimeoutMs: number
  readonly signal?: AbortSignal | undefined
}

interface RunningExchange {
  readonly exchange: Exchange
  readonly done: PromiseWithResolvers<void>
  error: ServerMessage | undefined
}

/**
 * One connection's talk. One exchange at a time. After a failure that is not the server's answer
 * the connection is gone.
 */
export class Conversation implements MessageHandler {
  readonly parameters = new Map<string, string>()
  readonly transport: Transport
  readonly #framer: Framer
  #key: BackendKey | undefined
  #running: RunningExchange | undefined
  #ended: TransportEnd | undefined
  #lastWords: ServerMessage | undefined

  constructor(transport: Transport) {
    this.transport = transport
    this.#framer = new Framer(this)
    transport.attach({
      bytes: (chunk) => this.#framer.push(chunk),
      idle: () => this.#idle(),
      closed: (end) => this.#closed(end),
    })
  }

  /** What a CancelRequest needs; known after login. */
  get key(): BackendKey | undefined {
    return this.#key
  }

  get isEnded(): boolean {
    return this.#ended !== undefined
  }

  /**
   * Sends the request and resolves at ReadyForQuery.
   * @throws {BackstayError} what the server answered, TIMEOUT after a silence,
   * POSTGRES_CONNECTION_LOST, POSTGRES_PROTOCOL; what the exchange threw; the signal's reason.
   */
  async run(exchange: Exchange, options: ExchangeOptions): Promise<void> {
    options.signal?.throwIfAborted()
    if (this.#ended !== undefined) throw this.#failure(exchange.action, this.#ended)
    if (this.#running !== undefined) {
      throw new BackstayError(
        'BUG',
        `${exchange.action}: the connection is busy with another command`,
      )
    }
    const running = { exchange, done: Promise.withResolvers<void>(), error: undefined }
    this.#running = running
    const abort = (): void => this.transport.destroy(options.signal?.reason)
    options.signal?.addEventListener('abort', abort, { once: true })
    this.transport.expectBytesWithin(options.idleTimeoutMs)
    try {
      if (options.request !== undefined) this.transport.write(options.request)
      await running.done.promise
    } finally {
      this.#running = undefined
      this.transport.expectBytesWithin(0)
      options.signal?.removeEventListener('abort', abort)
    }
  }

  message(type: number, payload: Buffer): void | Promise<void> {
    switch (type) {
      case BACKEND.noticeResponse:
        this.#running?.exchange.notice?.(decodeServerMessage(payload))
        return
      case BACKEND.errorResponse:
        this.#remember(decodeServerMessage(payload))
        return
      case BACKEND.parameterStatus: {
        const { name, value } = decodeParameterStatus(payload)
        this.#setParameter(name, value)
        return
      }
      case BACKEND.backendKeyData:
        this.#key = decodeBackendKey(payload)
        return
      case BACKEND.readyForQuery:
        this.#finish()
        return
      default:
        if (this.#running === undefined) throw unexpectedMessage('Cannot go on', type)
        return this.#running.exchange.message(type, payload)
    }
  }

  copyBegin(length: number): void | Promise<void> {
    const exchange = this.#running?.exchange
    if (exchange?.copyBegin === undefined) {
      throw unexpectedMessage(exchange?.action ?? 'Cannot go on', BACKEND.copyData)
    }
    return exchange.copyBegin(length)
  }

  copyPiece(piece: Buffer): void | Promise<void> {
    return this.#running?.exchange.copyPiece?.(piece)
  }

  copyEnd(): void | Promise<void> {
    return this.#running?.exchange.copyEnd?.()
  }

  /** A server says a dozen, and again what changes. */
  #setParameter(name: string, value: string): void {
    const isNew = !this.parameters.has(name)
    if (value.length <= MAX_PARAMETER_LENGTH && (!isNew || this.parameters.size < MAX_PARAMETERS)) {
      this.parameters.set(name, value)
      return
    }
    const action = this.#running?.exchange.action ?? 'Cannot go on'
    const what = 'the server reports more settings than PostgreSQL has'
    throw new BackstayError('POSTGRES_PROTOCOL', `${action}: ${what}`)
  }

  #remember(message: ServerMessage): void {
    this.#lastWords = message
    if (this.#running !== undefined) this.#running.error ??= message
  }

  #finish(): void {
    const running = this.#running
    if (running === undefined) return
    if (running.error === undefined) running.done.resolve()
    else running.done.reject(serverError(running.exchange.action, running.error))
    this.#lastWords = undefined
  }

  #idle(): void {
    const action = this.#running?.exchange.action ?? 'Cannot go on'
    this.transport.destroy(new BackstayError('TIMEOUT', `${action}: the server fell silent`))
  }

  #closed(end: TransportEnd): void {
    this.#ended = end
    if (this.#running === undefined) return
    this.#running.done.reject(this.#failure(this.#running.exchange.action, end))
  }

  /** The server's last error explains an end of the connection better than the socket does. */
  #failure(action: string, end: TransportEnd): unknown {
    if (end.by === 'us') return end.error
    const cause = end.by === 'network' ? end.error : undefined
    if (this.#lastWords !== undefined) return serverError(action, this.#lastWords, cause)
    if (cause !== undefined) return networkError(action, cause)
    return new BackstayError(
      'POSTGRES_CONNECTION_LOST',
      `${action}: the server ended the connection`,
    )
  }
}

/** The error for a message that has no place where it came. */
export function unexpectedMessage(action: string, type: number): BackstayError {
  return new BackstayError(
    'POSTGRES_PROTOCOL',
    `${action}: the server sent a message of type ${describeType(type)} out of place`,
  )
}
