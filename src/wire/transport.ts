/**
 * A byte stream to a server: TCP or Unix socket, TLS on top, with back-pressure. Knows nothing of
 * messages. Without TLS the kernel writes into one buffer of ours, which the receiver parses in
 * place.
 */
import { connect as connectSocket, type Socket } from 'node:net'
import {
  connect as connectTls,
  type ConnectionOptions as TlsOptions,
  type PeerCertificate,
  TLSSocket,
} from 'node:tls'
import { BackstayError } from '../errors/backstay-error.ts'
import type { ConnectionOptions } from './connection-options.ts'
import { isSocketDirectory, socketPath } from './server-address.ts'

/** Bytes of the buffer that the kernel fills. */
const RECEIVE_BUFFER_BYTES = 1024 * 1024

const KEEP_ALIVE_DELAY_MS = 10_000
const END_TIMEOUT_MS = 5000

/** Who is told what happens on the stream. */
export interface TransportReceiver {
  /**
   * The next bytes, a view that is valid until the call settles. While a returned promise is
   * pending nothing is read. What it throws ends the stream with that reason.
   */
  bytes(chunk: Buffer): void | Promise<void>
  /**
   * No bytes came for the time set with `expectBytesWithin`, and the receiver was not holding them
   * back.
   */
  idle(): void
  /** The last call: the stream is gone, and no promise of `bytes` is pending. */
  closed(end: TransportEnd): void
}

/** Who ended a stream, and why. */
export type TransportEnd =
  | { readonly by: 'server' }
  | { readonly by: 'network'; readonly error: unknown }
  | { readonly by: 'us'; readonly error: unknown }

const NOBODY: TransportReceiver = {
  bytes: () => {
    throw new BackstayError('POSTGRES_PROTOCOL', 'Cannot go on: the server sent bytes unasked')
  },
  idle: () => undefined,
  closed: () => undefined,
}

/** One connection. Every wait ends when the stream does, with its reason. */
export class Transport {
  readonly #buffer = Buffer.allocUnsafeSlow(RECEIVE_BUFFER_BYTES)
  readonly #closed = Promise.withResolvers<never>()
  #socket: Socket
  #receiver: TransportReceiver = NOBODY
  #end: TransportEnd = { by: 'server' }
  /** What the receiver is busy with; reading waits for it. */
  #held: Promise<void> | undefined
  /** Restarted by every byte that comes; what we send says nothing of the other side. */
  #idleTimer: NodeJS.Timeout | undefined

  constructor(address: Pick<ConnectionOptions, 'host' | 'port'>) {
    this.#closed.promise.catch(() => undefined)
    const place = isSocketDirectory(address.host)
      ? { path: socketPath(address) }
      : { host: address.host, port: address.port, noDelay: true, keepAlive: true }
    this.#socket = connectSocket({
      ...place,
      keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS,
      onread: {
        buffer: this.#buffer,
        callback: (length) => this.#receive(this.#buffer.subarray(0, length)),
      },
    })
    this.#watch(this.#socket)
  }

  /** Resolves when the socket is connected. */
  async connected(): Promise<void> {
    if (this.#socket.connecting) await this.#event('connect')
  }

  /** Sends `request` and resolves with the bytes of the first answer. */
  async ask(request: Buffer): Promise<Buffer> {
    const answer = Promise.withResolvers<Buffer>()
    this.#receiver = { ...NOBODY, bytes: (chunk) => answer.resolve(Buffer.from(chunk)) }
    this.write(request)
    const bytes = await Promise.race([answer.promise, this.#closed.promise])
    this.#receiver = NOBODY
    return bytes
  }

  /**
   * Encrypts everything from here on. Rejects with Node's error when the handshake or the
   * certificate fails.
   */
  async startTls(settings: TlsOptions): Promise<void> {
    const secure = connectTls({ ...settings, socket: this.#socket })
    this.#socket = secure
    this.#watch(secure)
    secure.on('data', (chunk: Buffer) => {
      if (!this.#receive(chunk)) secure.pause()
    })
    await this.#event('secureConnect')
  }

  /** The server's certificate, when the stream is encrypted. */
  get certificate(): PeerCertificate | undefined {
    return this.#socket instanceof TLSSocket ? this.#socket.getPeerCertificate() : undefined
  }

  get isEncrypted(): boolean {
    return this.#socket instanceof TLSSocket
  }

  /** Hands everything that comes from now on to `receiver`. */
  attach(receiver: TransportReceiver): void {
    this.#receiver = receiver
  }

  /** Whether bytes can still be sent. */
  get isWritable(): boolean {
    return this.#socket.writable
  }

  /** Queues bytes; false when the caller should wait for `drained` before more. */
  write(bytes: Uint8Array): boolean {
    return this.isWritable && this.#socket.write(bytes)
  }

  /**
   * Resolves when the queue of `write` is empty again; rejects when the stream has ended, so that
   * nobody waits for it.
   */
  async drained(): Promise<void> {
    if (this.#socket.writableNeedDrain) await this.#event('drain')
    if (this.isWritable) return
    throw new BackstayError('POSTGRES_CONNECTION_LOST', 'Cannot send: the connection has ended')
  }

  /** Calls `idle` when no bytes came for so long; 0 never. */
  expectBytesWithin(idleMs: number): void {
    clearTimeout(this.#idleTimer)
    this.#idleTimer = idleMs === 0 ? undefined : setTimeout(() => this.#idle(), idleMs)
  }

  /**
   * Sends what is queued, then closes; resolves when closed, whatever the reason, after five
   * seconds at the latest.
   */
  async end(): Promise<void> {
    this.#socket.end()
    const timer = setTimeout(() => this.destroy(undefined), END_TIMEOUT_MS)
    await this.#closed.promise.catch(() => undefined)
    clearTimeout(timer)
  }

  /** Closes at once; all waits reject with `reason`. */
  destroy(reason: unknown): void {
    this.#note({ by: 'us', error: reason })
    this.#socket.destroy()
  }

  #idle(): void {
    if (this.#held === undefined) this.#receiver.idle()
  }

  #receive(chunk: Buffer): boolean {
    this.#idleTimer?.refresh()
    try {
      const pending = this.#receiver.bytes(chunk)
      if (pending === undefined) return true
      this.#held = pending.then(
        () => this.#release(),
        (error: unknown) => this.destroy(error),
      )
    } catch (error) {
      this.destroy(error)
    }
    return false
  }

  #release(): void {
    this.#held = undefined
    this.#idleTimer?.refresh()
    this.#socket.resume()
  }

  #watch(socket: Socket): void {
    socket.on('error', (error) => this.#note({ by: 'network', error }))
    socket.on('close', () => {
      if (socket === this.#socket) void this.#finish()
    })
  }

  async #finish(): Promise<void> {
    this.expectBytesWithin(0)
    this.#closed.reject('error' in this.#end ? this.#end.error : undefined)
    await this.#held
    this.#receiver.closed(this.#end)
  }

  /** The first reason is the true one: what follows is its echo. */
  #note(end: TransportEnd): void {
    if (this.#end.by === 'server') this.#end = end
  }

  async #event(name: 'connect' | 'secureConnect' | 'drain'): Promise<void> {
    const happened = Promise.withResolvers<void>()
    this.#socket.once(name, happened.resolve)
    await Promise.race([happened.promise, this.#closed.promise])
  }
}
