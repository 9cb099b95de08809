/**
 * Bounded waiting: asks again and again until something holds, never for ever.
 */
import type { Clock } from './clock.ts'

/** How long and how often `until` asks. */
export interface UntilOptions {
  readonly clock: Clock
  readonly timeoutMs: number
  /** First pause between two questions; it grows to ten times this. Default 20 ms. */
  readonly intervalMs?: number
  readonly signal?: AbortSignal
}

/**
 * Asks `probe` until it gives something other than undefined or false, and returns that. Returns
 * undefined when `timeoutMs` passed first: the caller words the error, because it knows what was
 * waited for.
 * @throws what `probe` throws, and the signal's reason when aborted.
 */
export async function until<T>(
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  options: UntilOptions,
): Promise<T | undefined> {
  const { clock, timeoutMs, signal } = options
  const first = options.intervalMs ?? 20
  const deadline = clock.monotonic() + timeoutMs
  for (let pause = first; ; pause = Math.min(pause * 1.5, first * 10)) {
    signal?.throwIfAborted()
    const answer = await probe()
    if (answer !== undefined && answer !== false) return answer
    if (clock.monotonic() >= deadline) return undefined
    await clock.sleep(Math.min(pause, Math.max(1, deadline - clock.monotonic())), signal)
  }
}
