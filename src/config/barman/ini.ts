/**
 * Reads INI text as Barman's configuration is written: sections, `key = value` or `key: value`,
 * lines that go on when they are indented deeper than their key, comments with `#` or `;` at a
 * line's start. A section or key that comes again adds to or replaces the earlier one; what stands
 * in [DEFAULT] stands in every section. Knows the syntax only. Source: Python documentation,
 * "configparser" (the format Barman documents).
 */
import { BackstayError } from '../../errors/backstay-error.ts'

/** A value as written and where. */
export interface IniValue {
  /** Trimmed; lines joined with a newline. */
  readonly text: string
  readonly file: string
  /** From 1. */
  readonly line: number
}

/** Section name → key in lower case → value. */
export type IniSections = Map<string, Map<string, IniValue>>

/** The section whose keys every other section has as well. */
export const DEFAULT_SECTION = 'DEFAULT'

/**
 * The keys of a section, those of [DEFAULT] below them. A section that is not there has the latter.
 */
export function sectionOf(sections: IniSections, name: string): ReadonlyMap<string, IniValue> {
  return new Map([...(sections.get(DEFAULT_SECTION) ?? []), ...(sections.get(name) ?? [])])
}

interface Reading {
  readonly file: string
  readonly sections: IniSections
  section: Map<string, IniValue> | undefined
  key: string | undefined
  /** Characters before the key or header that was read last. */
  indent: number
}

/**
 * Adds what `text` says to `sections`. `file` is for messages and sources.
 * @throws {BackstayError} CONFIG_INVALID with file and line.
 */
export function readIni(text: string, file: string, sections: IniSections): void {
  const reading: Reading = { file, sections, section: undefined, key: undefined, indent: 0 }
  for (const [index, line] of text.split(/\r?\n/).entries()) readLine(reading, line, index + 1)
}

function readLine(reading: Reading, line: string, number: number): void {
  const content = line.trim()
  if (content === '' || content.startsWith('#') || content.startsWith(';')) return
  const indent = line.length - line.trimStart().length
  if (indent > reading.indent && reading.key !== undefined) return continueValue(reading, content)
  reading.indent = indent
  const header = /^\[([^\]]+)\]/.exec(content)?.[1]
  if (header !== undefined) {
    reading.section = reading.sections.get(header) ?? new Map<string, IniValue>()
    reading.sections.set(header, reading.section)
    reading.key = undefined
    return
  }
  const end = content.search(/[=:]/)
  const name = content.slice(0, Math.max(0, end)).trimEnd()
  if (reading.section === undefined) throw problem(reading, number, 'it stands in no section')
  if (name === '') throw problem(reading, number, 'it is no "key = value"')
  reading.key = name.toLowerCase()
  const text = content.slice(end + 1).trimStart()
  reading.section.set(reading.key, { text, file: reading.file, line: number })
}

function continueValue({ section, key }: Reading, content: string): void {
  const before = section?.get(key ?? '')
  if (before === undefined) return
  section?.set(key ?? '', { ...before, text: `${before.text}\n${content}` })
}

function problem({ file }: Reading, line: number, why: string): BackstayError {
  return new BackstayError('CONFIG_INVALID', `Cannot read "${file}" line ${line}: ${why}`)
}
