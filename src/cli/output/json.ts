/**
 * Results as JSON: one object and a newline; one line in a pipe, indented on a terminal.
 */

import { printableJson } from '../../errors/printable.ts'

/**
 * Renders `value`; what a terminal would not show, or obey, stands in it as JSON's own escapes. A
 * bigint becomes text; an LSN should be text already.
 */
export function renderJson(value: object, isTerminal: boolean): string {
  const text = JSON.stringify(
    value,
    (_key, item: unknown) => (typeof item === 'bigint' ? item.toString() : item),
    isTerminal ? 2 : undefined,
  )
  return `${printableJson(text)}\n`
}
