/**
 * Moves finished segments from the spool into the repository, one at a time and in order, and only
 * then removes the spool file. A store that fails is tried again for ever (the spool keeps
 * everything); a conflict stops it until `resume`, and so does a damaged segment, which is set
 * aside first, so that its place is free for the true one.
 *
 * One at a time, because compression shares libuv's pool of four threads with the receiver's
 * fdatasync.
 */
import { rm } from 'node:fs/promises'
import { openRegular } from '../util/read-regular.ts'
import { BackstayError } from '../errors/backstay-error.ts'
import { formatSegmentName } from '../postgres/segment-name.ts'
import type { WalObjects } from '../repository/wal-objects.ts'
import type { Clock } from '../util/clock.ts'
import { spoolError } from './spool-error.ts'
import type { FinishedSegment } from './spool-writer.ts'

/** Segments that may wait in the spool before receiving is held back. */
const WAITING_MAX = 64
const RETRY_FIRST_MS = 500
const RETRY_LAST_MS = 10_000

/** Where segments go and whom to tell. */
export interface HandOverOptions {
  readonly wal: WalObjects
  readonly segmentBytes: number
  readonly clock: Clock
  /**
   * Judges a segment and stores it. `content`: all of it, in memory that threads may share; it does
   * not change meanwhile.
   * @throws {BackstayError} WAL_INVALID when it is damaged and was set aside; WAL_CONFLICT; others
   * are tried again.
   */
  readonly store: (finished: FinishedSegment, content: Buffer) => Promise<void>
  /** Something failed that will be tried again. */
  readonly onRetry: (error: BackstayError) => void
  /** The number of waiting segments changed. */
  readonly onWaiting: (count: number) => void
}

/** The way from the spool into the repository. */
export class HandOver implements AsyncDisposable {
  readonly #options: HandOverOptions
  readonly #queue: FinishedSegment[] = []
  readonly #stop = new AbortController()
  /** Used for one segment after the other. */
  #buffer: Buffer | undefined
  #running: Promise<void> | undefined
  #failure: BackstayError | undefined
  #change = Promise.withResolvers<void>()
  #watcher: ((error: BackstayError) => void) | undefined

  constructor(options: HandOverOptions) {
    this.#options = options
  }

  /** Takes over a segment, once however often it is given. Returns at once. */
  add(finished: FinishedSegment): void {
    if (this.#queue.some(({ path }) => path === finished.path)) return
    this.#queue.push(finished)
    this.#options.onWaiting(this.#queue.length)
    if (this.#failure === undefined) this.resume()
  }

  /** Tries again what had stopped it: somebody may have put it right. */
  resume(): void {
    this.#failure = undefined
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
      // One may have been added after the last look into the queue.
      const isIdle = this.#queue.length === 0 || this.#failure !== undefined
      if (!isIdle && !this.#stop.signal.aborted) this.resume()
    })
  }

  /**
   * A promise to wait for before receiving more, or undefined when there is room.
   * @throws {BackstayError} at once or later, what stopped it.
   */
  room(): Promise<void> | undefined {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#queue.length < WAITING_MAX) return undefined
    return this.#until(() => this.#queue.length < WAITING_MAX)
  }

  /** Tells `watcher` when it is stopped, or that it is already; one at a time. */
  watch(watcher: (error: BackstayError) => void): Disposable {
    this.#watcher = watcher
    if (this.#failure !== undefined) watcher(this.#failure)
    return { [Symbol.dispose]: () => void (this.#watcher = undefined) }
  }

  /** Resolves when nothing waits. @throws {BackstayError} what stopped it; the signal's reason. */
  async drain(signal?: AbortSignal): Promise<void> {
    await this.#until(() => this.#queue.length === 0, signal)
  }

  /** Stops after the segment under way; the rest stays in the spool for the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new BackstayError('INTERRUPTED', 'The hand-over of WAL segments is closed'))
    await this.#running
  }

  async #until(holds: () => boolean, signal?: AbortSignal): Promise<void> {
    while (!holds()) {
      signal?.throwIfAborted()
      if (this.#failure !== undefined) throw this.#failure
      const aborted = Promise.withResolvers<void>()
      signal?.addEventListener('abort', () => aborted.resolve(), { once: true })
      await Promise.race([this.#change.promise, aborted.promise])
    }
  }

  async #run(): Promise<void> {
    let pauseMs = RETRY_FIRST_MS
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      if (this.#stop.signal.aborted) return
      try {
        await this.#move(next)
        this.#queue.shift()
        pauseMs = RETRY_FIRST_MS
        this.#options.onWaiting(this.#queue.length)
        this.#announce()
      } catch (error) {
        const known = spoolError(`hand over "${next.path}"`, error)
        if (known.code === 'WAL_INVALID') this.#queue.shift()
        if (isFinal(known)) return this.#fail(known)
        this.#options.onRetry(known)
        await this.#options.clock.sleep(pauseMs, this.#stop.signal).catch(() => undefined)
        pauseMs = Math.min(pauseMs * 2, RETRY_LAST_MS)
      }
    }
  }

  async #move(finished: FinishedSegment): Promise<void> {
    const { wal, segmentBytes, store } = this.#options
    const name = formatSegmentName(finished.segment, segmentBytes)
    const content = await this.#read(finished)
    // Found in the spool by a new session while the one before handed it over.
    if (content === undefined && (await wal.hasSegment(name))) return
    if (content === undefined)
      throw new BackstayError('STORE', `Cannot hand over "${finished.path}": it is gone`)
    await store(finished, content)
    await rm(finished.path, { force: true })
  }

  /**
   * Filled with zeros: the end of a segment after a switch may never have been written. The records
   * tell whether that is all.
   */
  async #read(finished: FinishedSegment): Promise<Buffer | undefined> {
    const { segmentBytes } = this.#options
    this.#buffer ??= Buffer.from(new SharedArrayBuffer(segmentBytes))
    try {
      await using file = await openRegular(finished.path)
      let length = 0
      while (length < segmentBytes) {
        const { bytesRead } = await file.read(this.#buffer, length, segmentBytes - length, length)
        if (bytesRead === 0) break
        length += bytesRead
      }
      return this.#buffer.fill(0, length)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  #fail(error: BackstayError): void {
    this.#failure = error
    this.#watcher?.(error)
    this.#announce()
  }

  #announce(): void {
    this.#change.resolve()
    this.#change = Promise.withResolvers()
  }
}

function isFinal(error: BackstayError): boolean {
  return error.code === 'WAL_CONFLICT' || error.code === 'WAL_INVALID'
}
