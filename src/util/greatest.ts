/**
 * The greatest of any number of values, at least `least`: Math.max takes no more arguments than the
 * stack holds.
 */
export function greatest(values: Iterable<number>, least: number): number {
  let found = least
  for (const value of values) found = Math.max(found, value)
  return found
}
