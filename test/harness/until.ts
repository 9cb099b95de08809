/**
 * Bounded waiting in tests: fails with the name of what was waited for.
 */
import { systemClock } from '../../src/util/clock.ts'
import { until as ask } from '../../src/util/until.ts'

/** Asks `probe` until it gives something other than undefined or false; throws «waited N s for …» after `timeoutMs`. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 20_000,
): Promise<T> {
  const answer = await ask(probe, { clock: systemClock, timeoutMs })
  if (answer === undefined) throw new Error(`waited ${timeoutMs / 1000} s for ${what}`)
  return answer
}
