/**
 * JSON of others.
 */

/** The value; undefined when the text is none. */
export function readJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
