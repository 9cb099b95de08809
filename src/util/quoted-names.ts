/**
 * Names as messages list them.
 */

/** Each in double quotes, with commas between: `"db1", "db2"`. */
export function quotedNames(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ')
}
