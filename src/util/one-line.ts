/**
 * A text of others on one line.
 */

/**
 * The lines without what surrounds them, one blank in between. Takes time that grows with the text,
 * as a pattern for blanks around a line end does not.
 */
export function oneLine(text: string): string {
  const lines = text.split('\n').map((line) => line.trim())
  return lines.filter((line) => line !== '').join(' ')
}
