/**
 * JSON as Barman's scripts expect it on standard output: keys sorted, `, ` and `: ` between things,
 * ASCII only.
 */

/** A value that can be printed. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json }

/** One line without newline. */
export function renderPythonJson(value: Json): string {
  if (Array.isArray(value)) {
    return `[${(value as readonly Json[]).map((item) => renderPythonJson(item)).join(', ')}]`
  }
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value as Readonly<Record<string, Json>>).sort(([a], [b]) =>
      a < b ? -1 : 1,
    )
    return `{${members.map(([key, item]) => `${text(key)}: ${renderPythonJson(item)}`).join(', ')}}`
  }
  return typeof value === 'string' ? text(value) : JSON.stringify(value)
}

function text(value: string): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
