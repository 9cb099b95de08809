/**
 * The receiver's durable memory: WAL of one timeline goes in byte after byte, and comes out as a
 * position that is safe on disk. It does not talk to a server, and does not know what the bytes
 * mean.
 *
 *   write ──► page cache ──► [one fdatasync at a time, for all that came meanwhile] ──► onDurable
 *
 * On a disk that syncs within 10 ms the event loop does it itself: the two hand-overs to a pool
 * thread and back would cost a commit more than the sync (measured: 0.3 ms on two busy cores). A
 * slow disk is synced on the pool, so the loop stays free.
 *
 * A segment's file gets its name only after everything before it was synced. So on disk the
 * existence of a file proves that the segment before it is whole, and after a crash only the last
 * file has to be examined (recover-spool.ts).
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { formatLsn, type Lsn } from '../postgres/lsn.ts'
import { type Segment, segmentOf } from '../postgres/segment-name.ts'
import type { Clock } from '../util/clock.ts'
import { spoolError } from './spool-error.ts'
import { prepareSpare, SpoolFile, type SpoolPlace } from './spool-file.ts'
import { type WalPosition, segmentFloor } from './wal-position.ts'

/** A whole, durable segment in the spool. */
export interface FinishedSegment {
  readonly segment: Segment
  readonly path: string
}

/** The loop syncs by itself while the last sync took less. */
const INLINE_SYNC_MAX_MS = 10

/** Where to write and whom to tell. The callbacks must not throw. */
export interface SpoolWriterOptions extends SpoolPlace {
  readonly clock: Clock
  /**
   * First byte that will come. Inside a segment: its file must be in the spool, right up to here.
   */
  readonly start: WalPosition
  /** Everything before `lsn` is on disk, names included. Called in ascending order. */
  readonly onDurable: (lsn: Lsn) => void
  /** The segment is whole, durable and closed. Called in ascending order, after `onDurable`. */
  readonly onFinished: (finished: FinishedSegment) => void
  /**
   * A sync failed: nothing more becomes durable; `write` throws from now on. Called at most once.
   */
  readonly onFailure: (error: BackstayError) => void
}

/** Writes one timeline's WAL into the spool. */
export class SpoolWriter implements AsyncDisposable {
  readonly #options: SpoolWriterOptions
  /** Open files, oldest first; WAL goes into the last. */
  readonly #files: SpoolFile[] = []
  #writtenLsn: Lsn
  #durableLsn: Lsn
  #isKickQueued = false
  #lastSyncMs = Number.POSITIVE_INFINITY
  #sync: Promise<void> | undefined
  #spare: 'none' | 'ready' | Promise<void> = 'none'
  #failure: BackstayError | undefined

  private constructor(options: SpoolWriterOptions) {
    this.#options = options
    this.#writtenLsn = options.start.lsn
    this.#durableLsn = options.start.lsn
  }

  /**
   * Opens the spool, whose folder is there, at `options.start`.
   * @throws {BackstayError} STORE, DISK_SPACE
   */
  static async open(options: SpoolWriterOptions): Promise<SpoolWriter> {
    const { start, directory, segmentBytes } = options
    try {
      const writer = new SpoolWriter(options)
      const segment = segmentOf(start.lsn, { ...start, segmentBytes })
      const isInside = start.lsn > segmentFloor(start.lsn, segmentBytes)
      // What is there may be all there is of it until the server has sent it again: it is written
      // over, not replaced.
      if (isInside || SpoolFile.isThere(options, segment)) {
        writer.#files.push(SpoolFile.reopen(options, segment))
      } else {
        await writer.#makeSpare()
      }
      return writer
    } catch (error) {
      throw spoolError(`open the spool "${directory}"`, error)
    }
  }

  /** The position after the last byte given to `write`. */
  get writtenLsn(): Lsn {
    return this.#writtenLsn
  }

  /** Everything before this position survives a power cut. */
  get durableLsn(): Lsn {
    return this.#durableLsn
  }

  /**
   * Takes the bytes at `lsn`, which must be the next ones; they are copied before it returns.
   * Becoming durable is told later.
   * @throws {BackstayError} POSTGRES_PROTOCOL when the position is another; DISK_SPACE or STORE
   * when the spool cannot be written.
   */
  write(lsn: Lsn, bytes: Uint8Array): void {
    if (this.#failure !== undefined) throw this.#failure
    if (lsn !== this.#writtenLsn) {
      throw new BackstayError(
        'POSTGRES_PROTOCOL',
        `Cannot receive WAL: the server sent ${formatLsn(lsn)}, expected ${formatLsn(this.#writtenLsn)}`,
      )
    }
    try {
      this.#place(bytes)
    } catch (error) {
      throw this.#fail(spoolError(`write WAL into "${this.#options.directory}"`, error))
    }
    this.#queueKick()
  }

  /**
   * Resolves when everything written before the call is durable.
   * @throws {BackstayError} what made syncing fail.
   */
  async drain(): Promise<void> {
    const upTo = this.#writtenLsn
    while (this.#failure === undefined && this.#durableLsn < upTo) {
      this.#kick()
      await this.#sync
    }
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Ends without making more durable: call `drain` first. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#failure ??= new BackstayError('INTERRUPTED', 'The spool is closed')
    await this.#sync
    if (this.#spare instanceof Promise) await this.#spare
    await Promise.all(this.#files.splice(0).map(async (file) => file.close()))
  }

  #place(bytes: Uint8Array): void {
    let rest = bytes
    while (rest.length > 0) {
      const file = this.#fileForNextByte()
      const room = Number(file.endLsn - this.#writtenLsn)
      const part = rest.length > room ? rest.subarray(0, room) : rest
      file.write(this.#writtenLsn, part)
      this.#writtenLsn = (this.#writtenLsn + BigInt(part.length)) as Lsn
      rest = rest.subarray(part.length)
    }
  }

  #fileForNextByte(): SpoolFile {
    const last = this.#files.at(-1)
    if (last !== undefined && this.#writtenLsn < last.endLsn) return last
    const { start, segmentBytes } = this.#options
    const segment = segmentOf(this.#writtenLsn, { timeline: start.timeline, segmentBytes })
    const file = SpoolFile.create(this.#options, segment, this.#spare === 'ready')
    if (this.#spare === 'ready') this.#spare = 'none'
    this.#files.push(file)
    return file
  }

  /** Syncs once the present burst of messages has been written, not after its first message. */
  #queueKick(): void {
    if (this.#isKickQueued || this.#sync !== undefined) return
    this.#isKickQueued = true
    queueMicrotask(() => {
      this.#isKickQueued = false
      this.#kick()
    })
  }

  #kick(): void {
    if (this.#sync !== undefined || this.#failure !== undefined) return
    if (this.#durableLsn === this.#writtenLsn) return
    if (this.#lastSyncMs < INLINE_SYNC_MAX_MS && this.#syncInline()) return
    this.#sync = this.#syncGroup(this.#writtenLsn)
      .catch((error: unknown) => {
        this.#options.onFailure(
          this.#fail(spoolError(`sync WAL in "${this.#options.directory}"`, error)),
        )
      })
      .finally(() => {
        this.#sync = undefined
        this.#kick()
      })
  }

  /**
   * For the usual case, bytes in the middle of one segment. False when more than a sync is to be
   * done.
   */
  #syncInline(): boolean {
    const [file, another] = this.#files
    const isSimple = another === undefined && file?.isNamed === true
    if (!isSimple || this.#writtenLsn === file.endLsn) return false
    const startedAt = this.#options.clock.monotonic()
    try {
      file.syncNow()
    } catch (error) {
      const failure = spoolError(`sync WAL in "${this.#options.directory}"`, error)
      this.#options.onFailure(this.#fail(failure))
      return true
    }
    this.#lastSyncMs = this.#options.clock.monotonic() - startedAt
    this.#durableLsn = this.#writtenLsn
    this.#options.onDurable(this.#durableLsn)
    return true
  }

  /** Oldest file first, each named before it is synced: see the order promised above. */
  async #syncGroup(upTo: Lsn): Promise<void> {
    for (const file of this.#files.filter((file) => file.startLsn < upTo)) {
      await file.publish()
      const startedAt = this.#options.clock.monotonic()
      await file.sync()
      this.#lastSyncMs = this.#options.clock.monotonic() - startedAt
    }
    this.#durableLsn = upTo
    this.#options.onDurable(upTo)
    await this.#closeFinished(upTo)
    this.#refillSpare()
  }

  async #closeFinished(upTo: Lsn): Promise<void> {
    for (
      let file = this.#files[0];
      file !== undefined && file.endLsn <= upTo;
      file = this.#files[0]
    ) {
      this.#files.shift()
      await file.close()
      this.#options.onFinished({ segment: file.segment, path: file.path })
    }
  }

  /**
   * Only for a receiver that keeps up: in a backlog the zeros would cost more writing than they
   * save.
   */
  #refillSpare(): void {
    if (this.#spare !== 'none' || this.#writtenLsn !== this.#durableLsn) return
    this.#spare = this.#makeSpare()
  }

  async #makeSpare(): Promise<void> {
    try {
      await prepareSpare(this.#options)
      this.#spare = 'ready'
    } catch {
      // A full disk: the next segment's file grows instead, and its writes say what is wrong.
      this.#spare = 'none'
    }
  }

  #fail(error: BackstayError): BackstayError {
    this.#failure ??= error
    return this.#failure
  }
}
