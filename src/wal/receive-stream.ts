/**
 * One stream of one timeline, from its start to its end: bytes go into the spool, what is durable
 * is acknowledged at once.
 *
 * Only the flush position is ever acknowledged beyond the start, never an apply position: nobody
 * can query this side, so a commit with synchronous_commit = remote_apply is not answered by a
 * receiver, as with pg_receivewal.
 */
import { BackstayError, isBackstayError } from '../errors/backstay-error.ts'
import { formatLsn, type Lsn } from '../postgres/lsn.ts'
import type { ReplicationConnection } from '../wire/replication-connection.ts'
import type { WalStream, WalStreamEnd } from '../wire/wal-stream.ts'
import type { HandOver } from './finished-segments.ts'
import { JoinCheck, type Joint } from './join-check.ts'
import type { ReceiverOptions } from './receiver-options.ts'
import { spoolOf } from './spool-place.ts'
import { SpoolWriter } from './spool-writer.ts'
import type { StatusPublisher } from './status-publisher.ts'

/**
 * The server answers every status: one that is silent for so long is gone, and synchronous commits
 * may wait for us elsewhere.
 */
const DEFAULT_IDLE_TIMEOUT_MS = 15_000
const STATUS_INTERVAL_MS = 10_000
const DEFAULT_STOP_TIMEOUT_MS = 20_000

/** What all streams of a receiver share. */
export interface StreamSurroundings {
  readonly options: ReceiverOptions
  readonly handOver: HandOver
  readonly status: StatusPublisher
  /** Aborts to end the stream in order: sync, acknowledge, stop. */
  readonly signal: AbortSignal
}

/** Where to stream from. */
export interface StreamStart {
  readonly joint: Joint
  /** Awaited when the first WAL has come and before any is written or acknowledged. */
  readonly accepted: () => Promise<void>
  /** Ends in order once everything before this is written: a hole is filled then. */
  readonly stopLsn?: Lsn
  /**
   * End of the server's WAL before the stream: when nothing is to come, all of it is held already.
   */
  readonly serverEndLsn: Lsn
}

/** The stream ended before anything came. */
export interface StreamRefused {
  readonly reason: 'refused'
  readonly error: BackstayError
}

/**
 * Streams until the timeline ends, the server shuts down or the signal aborts.
 * @throws {BackstayError} what broke the stream.
 */
export async function receiveStream(
  connection: ReplicationConnection,
  start: StreamStart,
  surroundings: StreamSurroundings,
): Promise<WalStreamEnd | StreamRefused> {
  const { options } = surroundings
  const failure = new AbortController()
  const receiving = new Receiving(start, surroundings, failure)
  await using writer = await SpoolWriter.open({
    ...spoolOf(options.repository),
    clock: options.clock,
    start: start.joint.start,
    onDurable: () => receiving.acknowledge(),
    onFinished: (finished) => surroundings.handOver.add(finished),
    onFailure: (error) => failure.abort(error),
  })
  receiving.writer = writer
  using _watch = surroundings.handOver.watch((error) => failure.abort(error))
  try {
    const stream = await connection.startReplication(
      {
        slot: options.slot,
        startLsn: start.joint.start.lsn,
        timeline: start.joint.start.timeline,
        clock: options.clock,
        idleTimeoutMs: options.idleTimeoutMs ?? DEFAULT_IDLE_TIMEOUT_MS,
        statusIntervalMs: STATUS_INTERVAL_MS,
        signal: failure.signal,
      },
      {
        data: (position, bytes) => receiving.take(position, bytes),
        keepalive: ({ serverEndLsn }) => receiving.hear(serverEndLsn),
      },
    )
    return await receiving.follow(stream)
  } catch (error) {
    if (!receiving.hasReceived && isRefusal(error)) return { reason: 'refused', error }
    throw error
  }
}

function isRefusal(error: unknown): error is BackstayError {
  return isBackstayError(error, 'WAL_UNAVAILABLE') || isBackstayError(error, 'SLOT_MISSING')
}

/** The state of one stream. */
class Receiving {
  writer: SpoolWriter | undefined
  hasReceived = false
  readonly #start: StreamStart
  readonly #surroundings: StreamSurroundings
  readonly #failure: AbortController
  readonly #join: JoinCheck
  #stream: WalStream | undefined
  #isReady = false
  #isStopping = false

  constructor(start: StreamStart, surroundings: StreamSurroundings, failure: AbortController) {
    this.#start = start
    this.#surroundings = surroundings
    this.#failure = failure
    this.#join = new JoinCheck(start.joint)
  }

  /** WAL came. Returns a promise when the server has to wait. */
  take(position: { startLsn: Lsn; serverEndLsn: Lsn }, bytes: Uint8Array): void | Promise<void> {
    if (!this.#isReady) return this.#begin(position, bytes)
    this.#join.push(bytes)
    this.writer?.write(position.startLsn, bytes)
    this.#stopIfFilled()
    this.#note(position.serverEndLsn)
    return this.#surroundings.handOver.room()
  }

  hear(serverEndLsn: Lsn): void {
    this.#note(serverEndLsn)
  }

  /** Tells the server what is durable. */
  acknowledge(): void {
    const { writer } = this
    if (writer === undefined || !this.#join.isJoined) return
    const progress = { writeLsn: writer.writtenLsn, flushLsn: writer.durableLsn }
    this.#stream?.confirm(progress, { sendNow: true })
    this.#surroundings.status.update(progress)
  }

  /** Waits for the end of the stream, and brings it about when the receiver is told to stop. */
  async follow(stream: WalStream): Promise<WalStreamEnd> {
    this.#stream = stream
    const { signal, status, options } = this.#surroundings
    const { start } = this.#start.joint
    status.update({ timeline: start.timeline, writeLsn: start.lsn, flushLsn: start.lsn })
    status.update({ serverEndLsn: this.#start.serverEndLsn })
    // Commits may wait for WAL that is held already, and when none is to come nothing else would
    // release them.
    if (this.#start.serverEndLsn <= start.lsn) {
      stream.confirm({ writeLsn: start.lsn, flushLsn: start.lsn }, { sendNow: true })
    }
    // Pieces may have become durable before the stream was known here.
    else if (this.#isReady) this.acknowledge()
    const stop = (): void => void this.#stop(stream)
    signal.addEventListener('abort', stop, { once: true })
    this.#stopIfFilled()
    if (signal.aborted) stop()
    try {
      options.onEvent({
        kind: 'streaming',
        text: `Receiving from ${formatLsn(start.lsn)} on timeline ${start.timeline}`,
      })
      return await stream.ended
    } finally {
      signal.removeEventListener('abort', stop)
      await this.writer?.drain().catch(() => undefined)
    }
  }

  /** The first bytes: the server agreed to this position. */
  async #begin(position: { startLsn: Lsn; serverEndLsn: Lsn }, bytes: Uint8Array): Promise<void> {
    this.hasReceived = true
    await this.#start.accepted()
    this.#isReady = true
    await this.take(position, bytes)
  }

  #stopIfFilled(): void {
    const { stopLsn } = this.#start
    if (stopLsn === undefined || this.#stream === undefined || this.#isStopping) return
    if ((this.writer?.writtenLsn ?? 0n) < stopLsn) return
    this.#isStopping = true
    void this.#stop(this.#stream)
  }

  #note(serverEndLsn: Lsn): void {
    const { status, options } = this.#surroundings
    status.update({ state: 'streaming', serverEndLsn, lastMessageAtMs: options.clock.now() })
  }

  /** In order: what has come is synced and acknowledged, then the server is told. */
  async #stop(stream: WalStream): Promise<void> {
    const { stopTimeoutMs = DEFAULT_STOP_TIMEOUT_MS } = this.#surroundings.options
    const late = new BackstayError(
      'TIMEOUT',
      'Cannot stop receiving WAL in order: it took too long',
    )
    const timer = setTimeout(() => this.#failure.abort(late), stopTimeoutMs)
    try {
      await this.writer?.drain()
      await stream.stop()
    } catch (error) {
      this.#failure.abort(error)
    } finally {
      clearTimeout(timer)
    }
  }
}
