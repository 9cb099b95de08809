/**
 * Keeps work to a rate: who has done some is held back until that was to be done.
 */
import type { Clock } from './clock.ts'

/** Shorter waits cost more than they even out. */
const PAUSE_MS_MIN = 20

/** One piece of work, from its making on. */
export class Pace {
  readonly #bytesPerMs: number
  readonly #clock: Clock
  readonly #startedAtMs: number
  #bytes = 0

  /** `bytesPerSecond`: undefined for no limit. */
  constructor(bytesPerSecond: number | undefined, clock: Clock) {
    this.#bytesPerMs = (bytesPerSecond ?? Infinity) / 1000
    this.#clock = clock
    this.#startedAtMs = clock.now()
  }

  /** So much was done; resolves when the next may begin. @throws the signal's reason */
  async spend(bytes: number, signal: AbortSignal): Promise<void> {
    this.#bytes += bytes
    const dueAtMs = this.#startedAtMs + this.#bytes / this.#bytesPerMs
    const waitMs = dueAtMs - this.#clock.now()
    if (waitMs >= PAUSE_MS_MIN) await this.#clock.sleep(waitMs, signal)
  }
}
