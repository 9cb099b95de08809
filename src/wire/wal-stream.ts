/**
 * Physical WAL streaming: delivers WAL with back-pressure, answers and sends signs of life, reports
 * progress. Progress is only what the caller confirmed: nothing is reported as flushed by itself.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { BackstayError, isBackstayError } from '../errors/backstay-error.ts'
import { INVALID_LSN } from '../postgres/lsn.ts'
import type { Clock } from '../util/clock.ts'
import type { Conversation } from './conversation.ts'
import { encodeCopyData, encodeCopyDone, encodeQuery } from './frontend-messages.ts'
import { startReplicationCommand, type StreamPosition } from './replication-command.ts'
import { type NextTimeline, WalExchange } from './wal-exchange.ts'
import {
  encodeStatus,
  type WalKeepalive,
  type WalDataHeader,
  type WalProgress,
} from './wal-messages.ts'

const DEFAULT_STATUS_INTERVAL_MS = 10_000
const DEFAULT_IDLE_TIMEOUT_MS = 60_000
const STOP_TIMEOUT_MS = 10_000

/** Receives WAL in order, one call at a time, the first after `startReplication` resolved. */
export interface WalHandler {
  /**
   * A piece of WAL of at most 128 KiB, contiguous with the one before. The view is valid until the
   * call settles; a returned promise holds the stream back (signs of life go on being sent).
   */
  data(position: WalDataHeader, bytes: Uint8Array): void | Promise<void>
  /** The server has nothing new; says how far it is. */
  keepalive?(keepalive: WalKeepalive): void
}

/** From where and how to stream. */
export interface WalStreamOptions extends StreamPosition {
  readonly clock: Clock
  /** How often progress is reported by itself. Default 10 s. */
  readonly statusIntervalMs?: number
  /** A server that is silent for so long, although asked, is given up. Default 60 s. */
  readonly idleTimeoutMs?: number
  readonly signal?: AbortSignal
}

/** Why a stream ended without a failure. */
export type WalStreamEnd =
  | { readonly reason: 'stopped' }
  /** The server was shut down in order. The connection is gone. */
  | { readonly reason: 'shutdown' }
  /** The timeline asked for was left: nothing more comes on it. */
  | { readonly reason: 'timeline'; readonly next: NextTimeline }

/**
 * A running stream. Dispose it to stop; the connection can be used again after `ended` resolved
 * with another reason than shutdown.
 */
export class WalStream implements AsyncDisposable {
  readonly #conversation: Conversation
  readonly #handler: WalHandler
  readonly #options: WalStreamOptions
  readonly #exchange: WalExchange
  readonly #started = Promise.withResolvers<void>()
  readonly #ended: Promise<WalStreamEnd>
  #progress: WalProgress = { writeLsn: INVALID_LSN, flushLsn: INVALID_LSN }
  #timer: NodeJS.Timeout | undefined
  #isStopping = false
  #isOpen = false
  #isCongested = false
  #hasHeard = true

  private constructor(
    conversation: Conversation,
    handler: WalHandler,
    options: WalStreamOptions & { readonly action: string },
  ) {
    this.#conversation = conversation
    this.#handler = handler
    this.#options = options
    this.#exchange = new WalExchange(options.action, {
      started: () => this.#begin(),
      data: (position, bytes) => this.#data(position, bytes),
      keepalive: (keepalive) => this.#keepalive(keepalive),
      copyDone: () => this.#finishCopy(),
    })
    this.#ended = this.#run()
    this.#ended.then(() => this.#started.resolve(), this.#started.reject)
  }

  /**
   * Resolves when the server streams, or has said at once that the timeline ends here (then `ended`
   * is resolved too).
   */
  static async start(
    conversation: Conversation,
    handler: WalHandler,
    options: WalStreamOptions & { readonly action: string },
  ): Promise<WalStream> {
    const stream = new WalStream(conversation, handler, options)
    await stream.#started.promise
    return stream
  }

  /**
   * Resolves when the stream ended in order. A failure need not be waited for here; it closes the
   * connection.
   * @throws {BackstayError} WAL_UNAVAILABLE, SLOT_MISSING, SLOT_IN_USE, TIMEOUT,
   * POSTGRES_CONNECTION_LOST, …; what the handler threw; the signal's reason.
   */
  get ended(): Promise<WalStreamEnd> {
    return this.#ended
  }

  /**
   * Takes note of progress; the server hears of it with the next status, or at once with `sendNow`.
   */
  confirm(progress: WalProgress, options: { readonly sendNow?: boolean } = {}): void {
    this.#progress = progress
    if (options.sendNow === true) this.#sendStatus(false)
  }

  /**
   * Ends the stream in order: reports progress, then stops. WAL that is still on the way is
   * dropped.
   */
  async stop(): Promise<void> {
    if (this.#isOpen && !this.#isStopping) {
      this.#sendStatus(false)
      this.#isStopping = true
      this.#conversation.transport.write(encodeCopyDone())
    }
    const timer = setTimeout(() => this.#giveUp(), STOP_TIMEOUT_MS)
    try {
      await this.#ended
    } finally {
      clearTimeout(timer)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop().catch(() => undefined)
  }

  async #run(): Promise<WalStreamEnd> {
    const { signal, idleTimeoutMs = DEFAULT_IDLE_TIMEOUT_MS } = this.#options
    try {
      const request = encodeQuery(startReplicationCommand(this.#options))
      await this.#conversation.run(this.#exchange, { request, idleTimeoutMs, signal })
    } catch (error) {
      const isOrderly =
        this.#exchange.isShutdown && isBackstayError(error, 'POSTGRES_CONNECTION_LOST')
      if (isOrderly) return { reason: 'shutdown' }
      throw error
    } finally {
      this.#isOpen = false
      clearInterval(this.#timer)
    }
    const next = this.#exchange.nextTimeline
    return next === undefined ? { reason: 'stopped' } : { reason: 'timeline', next }
  }

  async #begin(): Promise<void> {
    const { idleTimeoutMs = DEFAULT_IDLE_TIMEOUT_MS } = this.#options
    const wanted = this.#options.statusIntervalMs ?? DEFAULT_STATUS_INTERVAL_MS
    const intervalMs = idleTimeoutMs === 0 ? wanted : Math.min(wanted, idleTimeoutMs / 3)
    this.#isOpen = true
    this.#timer = setInterval(() => this.#tick(), intervalMs)
    this.#started.resolve()
    // WAL may lie in the same bytes: the caller must have its stream in hand before the handler is
    // called.
    await nextTurn()
  }

  #tick(): void {
    this.#sendStatus(!this.#hasHeard)
    this.#hasHeard = false
  }

  #data(position: WalDataHeader, bytes: Buffer): void | Promise<void> {
    this.#hasHeard = true
    if (!this.#isStopping) return this.#handler.data(position, bytes)
  }

  #keepalive(keepalive: WalKeepalive): void {
    this.#hasHeard = true
    if (keepalive.isReplyRequested) this.#sendStatus(false)
    this.#handler.keepalive?.(keepalive)
  }

  #finishCopy(): void {
    this.#isOpen = false
    clearInterval(this.#timer)
    if (!this.#isStopping) this.#conversation.transport.write(encodeCopyDone())
  }

  #sendStatus(requestReply: boolean): void {
    if (!this.#isOpen || this.#isStopping || this.#isCongested) return
    const moment = { nowMs: this.#options.clock.now(), requestReply }
    const { transport } = this.#conversation
    if (transport.write(encodeCopyData(encodeStatus(this.#progress, moment)))) return
    // The server does not read: gather no statuses, send the newest when it does.
    this.#isCongested = true
    transport.drained().then(
      () => {
        this.#isCongested = false
        this.#sendStatus(false)
      },
      () => undefined,
    )
  }

  #giveUp(): void {
    const error = new BackstayError('TIMEOUT', `${this.#exchange.action}: the server does not stop`)
    this.#conversation.transport.destroy(error)
  }
}
