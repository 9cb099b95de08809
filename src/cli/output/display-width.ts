/**
 * How many columns of a terminal a text takes. Text of European scripts is counted here; for
 * everything else the library is loaded when it is first met, because loading it costs as much as a
 * small command.
 */
import { createRequire } from 'node:module'
import { stripVTControlCharacters } from 'node:util'
import type stringWidth from 'string-width'

/**
 * Latin, Greek and Cyrillic without combining marks, and the signs Backstay itself writes: one
 * column each.
 */
const NARROW = /^[\x20-\x7e\u00a1-\u00ac\u00ae-\u02ff\u0370-\u0482\u048a-\u052f–—‘’“”…✓✗]*$/

const require = createRequire(import.meta.url)

/** The columns `text` takes; colours take none. */
export function displayWidth(text: string): number {
  const visible = stripVTControlCharacters(text)
  if (NARROW.test(visible)) return visible.length
  const { default: measure } = require('string-width') as { readonly default: typeof stringWidth }
  return measure(visible)
}
