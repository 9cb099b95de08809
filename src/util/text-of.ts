/**
 * A text in what somebody else wrote.
 */

/**
 * The value when it is a text, else the empty one: an object of others can have a `toString` that
 * is none.
 */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
