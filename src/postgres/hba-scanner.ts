/**
 * The logical lines of pg_hba.conf and their fields, as PostgreSQL splits them. Joining the lines'
 * `text` gives the file back. What the fields mean is hba-rule.ts. Source: PostgreSQL
 * src/backend/libpq/hba.c (next_token, next_field_expand, tokenize_auth_file).
 */

/**
 * A word of a field. `isQuoted` takes the special meaning from `all`, `replication`, `+group` and
 * `@file`.
 */
export interface HbaToken {
  readonly text: string
  readonly isQuoted: boolean
}

/** A comma-separated list of words. Never empty. */
export type HbaField = readonly HbaToken[]

/** One logical line; from PostgreSQL 14 on a backslash at the end joins it with the next. */
export interface HbaLine {
  /** Of its first physical line, counted from 1. */
  readonly number: number
  /** As in the file, with line ends. */
  readonly text: string
  /** Empty for blank lines and comments. */
  readonly fields: readonly HbaField[]
}

const TOKEN = /(?:"(?:[^"]|"")*(?:"|$)|[^ \t\r,#"])+/y
const SEPARATOR = /[ \t\r,]*/y
const CONTINUATION_SINCE = 14

/** All lines, in order, as a server of `major` reads them. */
export function scanHba(text: string, major: number): readonly HbaLine[] {
  const lines: HbaLine[] = []
  let pending: { number: number; text: string; joined: string } | undefined
  const physical = text.match(/[^\n]*\n|[^\n]+$/g) ?? []
  for (const [index, part] of physical.entries()) {
    const content = withoutLineEnd(part)
    const isContinued = major >= CONTINUATION_SINCE && content.endsWith('\\')
    pending ??= { number: index + 1, text: '', joined: '' }
    pending.text += part
    pending.joined += isContinued ? content.slice(0, -1) : content
    if (isContinued && index < physical.length - 1) continue
    lines.push({
      number: pending.number,
      text: pending.text,
      fields: splitHbaFields(pending.joined),
    })
    pending = undefined
  }
  return lines
}

/** Carriage returns, however many, belong to it. */
function withoutLineEnd(part: string): string {
  let end = part.length
  while (end > 0 && '\r\n'.includes(part.charAt(end - 1))) end -= 1
  return part.slice(0, end)
}

/** The fields of one line without its line end. */
export function splitHbaFields(line: string): readonly HbaField[] {
  const fields: HbaToken[][] = []
  let afterComma = false
  for (let at = skip(line, 0); at < line.length;) {
    TOKEN.lastIndex = at
    const raw = TOKEN.exec(line)?.[0]
    if (raw === undefined) break
    const token = { text: unquote(raw), isQuoted: raw.startsWith('"') }
    if (afterComma) fields.at(-1)?.push(token)
    else fields.push([token])
    at += raw.length
    afterComma = line[at] === ','
    at = skip(line, at)
  }
  return fields
}

function skip(line: string, from: number): number {
  SEPARATOR.lastIndex = from
  return from + (SEPARATOR.exec(line)?.[0].length ?? 0)
}

function unquote(raw: string): string {
  return raw.replace(/"((?:[^"]|"")*)(?:"|$)/g, (_all, inner: string) =>
    inner.replaceAll('""', '"'),
  )
}
