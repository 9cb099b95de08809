/**
 * Publishes a receiver's status when something changed, at most twice a second, and as a sign of
 * life now and then.
 */
import type { BackstayError } from '../errors/backstay-error.ts'
import type { Clock } from '../util/clock.ts'
import {
  type ReceiverProblem,
  type ReceiverStatus,
  writeReceiverStatus,
} from './receiver-status.ts'

const SOONEST_MS = 500
const SIGN_OF_LIFE_MS = 5000

/** What can change in a status. */
export type StatusChange = Partial<Omit<ReceiverStatus, 'publishedAtMs' | 'lagBytes'>>

/** Keeps one receiver's status and its file. */
export class StatusPublisher implements AsyncDisposable {
  readonly #directory: string
  readonly #clock: Clock
  readonly #timer: NodeJS.Timeout
  #status: ReceiverStatus
  #isChanged = true
  #writtenAtMs = Number.NEGATIVE_INFINITY
  #writing: Promise<void> | undefined

  constructor(directory: string, clock: Clock, first: ReceiverStatus) {
    this.#directory = directory
    this.#clock = clock
    this.#status = first
    this.#timer = setInterval(() => this.#tick(), SOONEST_MS).unref()
  }

  /** The status now. */
  get current(): ReceiverStatus {
    return this.#status
  }

  /**
   * Notes a change; it reaches the file within half a second, a new state at once. Cheap: called
   * for every group of records.
   */
  update(change: StatusChange): void {
    const isNewState = change.state !== undefined && change.state !== this.#status.state
    const merged = { ...this.#status, ...change }
    this.#status = { ...merged, lagBytes: lagOf(merged) }
    this.#isChanged = true
    if (isNewState) this.#tick()
  }

  /** Notes a failure. */
  fail(error: BackstayError, state: 'waiting' | 'refused'): void {
    this.update({ state, lastError: problemOf(error, this.#clock) })
  }

  /** Writes the last status. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    await this.#writing
    await this.#write()
  }

  #tick(): void {
    const isDue = this.#clock.monotonic() - this.#writtenAtMs >= SIGN_OF_LIFE_MS
    if (this.#writing !== undefined || !(this.#isChanged || isDue)) return
    this.#writing = this.#write().finally(() => {
      this.#writing = undefined
    })
  }

  /** A status that cannot be written is no reason to stop receiving: its age tells. */
  async #write(): Promise<void> {
    this.#isChanged = false
    this.#writtenAtMs = this.#clock.monotonic()
    const status = { ...this.#status, publishedAtMs: this.#clock.now() }
    await writeReceiverStatus(this.#directory, status).catch(() => undefined)
  }
}

function lagOf(status: ReceiverStatus): number | undefined {
  const { flushLsn, serverEndLsn } = status
  if (flushLsn === undefined || serverEndLsn === undefined) return undefined
  return Math.max(0, Number(serverEndLsn - flushLsn))
}

function problemOf(error: BackstayError, clock: Clock): ReceiverProblem {
  return { code: error.code, message: error.message, hint: error.hint, atMs: clock.now() }
}
