/**
 * The only source of time in the engine: everything that waits or stamps takes a `Clock`.
 */
import { setTimeout as delay } from 'node:timers/promises'

/** Wall clock, monotonic clock and a wait that ends early when `signal` aborts. */
export interface Clock {
  /** Epoch milliseconds (wall clock). */
  now(): number
  /** Milliseconds that only grow, for measuring durations. */
  monotonic(): number
  /** Resolves after `ms`; rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** The machine's own clock. Programs begin with it; the engine gets it as a `Clock`. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: async (ms, signal) => {
    try {
      await delay(ms, undefined, signal === undefined ? {} : { signal })
    } catch (error) {
      throw signal?.aborted ? signal.reason : error
    }
  },
}
