/**
 * postgresql.conf as text: reading what one file says and editing it without touching anything else
 * (comments, order, line ends). Includes are named, not followed.
 * Source: PostgreSQL documentation, "Parameter Interaction via the Configuration File".
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { type ConfDirectiveLine, type ConfLine, formatConfValue, scanConf } from './conf-scanner.ts'

/** The directives that name other files. */
export const INCLUDE_KINDS = ['include', 'include_if_exists', 'include_dir'] as const

/** What an include line does when its file is not there, or names a directory. */
export type IncludeKind = (typeof INCLUDE_KINDS)[number]

/** Setting name in lower case → value. */
export type ConfSettings = ReadonlyMap<string, string>

/** The kind of include a line is; undefined for a setting. */
export function includeKindOf(line: ConfDirectiveLine): IncludeKind | undefined {
  return INCLUDE_KINDS.find((kind) => kind === line.name.toLowerCase())
}

/**
 * What the file sets itself: of a repeated setting the last line. Included files are not read.
 * @param file names the file in the error.
 * @throws {BackstayError} POSTGRES_FILE_INVALID at the first line PostgreSQL would refuse.
 */
export function settingsOf(text: string, file = 'postgresql.conf'): ConfSettings {
  const settings = new Map<string, string>()
  for (const line of scanConf(text)) {
    if (line.kind === 'problem') throw syntaxError(file, line.number, line.column)
    if (line.kind === 'directive' && includeKindOf(line) === undefined) {
      settings.set(line.name.toLowerCase(), line.value)
    }
  }
  return settings
}

/** One line, without line end. */
export function formatConfLine(name: string, value: string): string {
  return `${name} = ${formatConfValue(value)}`
}

/**
 * The file with `name` set: in its last line that sets it (trailing comment kept), else in a new
 * last line.
 */
export function setConfValue(text: string, name: string, value: string): string {
  const lines = scanConf(text)
  const place = lines.findLastIndex((line) => isSettingOf(line, name))
  const line = lines[place]
  if (line?.kind !== 'directive') return appendConfLines(text, [formatConfLine(name, value)])
  if (line.value === value) return text
  const { text: old, valueStart, valueEnd } = line
  const edited = `${old.slice(0, valueStart)}${formatConfValue(value)}${old.slice(valueEnd)}`
  return lines.map((entry, index) => (index === place ? edited : entry.text)).join('')
}

/** The file without the lines that set `name`. */
export function removeConfSetting(text: string, name: string): string {
  const kept = scanConf(text).filter((line) => !isSettingOf(line, name))
  return kept.map((line) => line.text).join('')
}

/** The file with lines added at its end, ended as its own lines are. */
export function appendConfLines(text: string, lines: readonly string[]): string {
  const end = /\r\n/.test(text) ? '\r\n' : '\n'
  const start = text === '' || text.endsWith('\n') ? text : text + end
  return start + lines.map((line) => line + end).join('')
}

function isSettingOf(line: ConfLine, name: string): boolean {
  return line.kind === 'directive' && line.name.toLowerCase() === name.toLowerCase()
}

function syntaxError(file: string, line: number, column: number): BackstayError {
  return new BackstayError(
    'POSTGRES_FILE_INVALID',
    `Cannot read "${file}": line ${line} is not "name = value" (column ${column})`,
    { details: { file, line, column } },
  )
}
