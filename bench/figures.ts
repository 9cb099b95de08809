/**
 * What benchmarks make of the times they measured.
 */

/** The value in the middle; of an even number the upper one. NaN when there is none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

/** Prints median, least and most of times in ms. */
export function reportSpread(what: string, valuesMs: readonly number[]): void {
  const figures = [median(valuesMs), Math.min(...valuesMs), Math.max(...valuesMs)]
  const [middle, least, most] = figures.map((value) => value.toFixed(0))
  console.log(`${what}: median ${middle} ms, least ${least} ms, most ${most} ms`)
}

/** Prints the speed at which `megabytes` went. */
export function reportSpeed(name: string, seconds: readonly number[], megabytes: number): void {
  const middle = median(seconds)
  const all = seconds.map((value) => value.toFixed(2)).join(' ')
  console.log(
    `${name}: median ${middle.toFixed(2)} s, ${Math.round(megabytes / middle)} MB/s (${all})`,
  )
}
