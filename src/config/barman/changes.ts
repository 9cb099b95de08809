/**
 * The changes that config-update is given, checked, and the file they are written to. Pure.
 */
import { readIni, type IniSections, type IniValue } from './ini.ts'
import type { BarmanConfig } from './model.ts'
import { readOption } from './option-kinds.ts'
import { SERVER_OPTIONS } from './options.ts'

/** Options of one section to set. */
export interface SectionChange {
  readonly kind: 'server' | 'model'
  readonly name: string
  readonly options: ReadonlyMap<string, string>
}

type ChangeRow = Readonly<Record<string, unknown>>

const HEADER =
  '# Written by barman config-update; these options stand over those of the other files.\n'

/** The changes, or why they are refused: one line each. */
export function readChanges(
  text: string,
  config: Pick<BarmanConfig, 'servers' | 'models'>,
): readonly SectionChange[] | { readonly errors: readonly string[] } {
  const rows = parseRows(text)
  if (rows === undefined) return { errors: ['The changes are no list of JSON objects'] }
  const changes: SectionChange[] = []
  for (const row of rows) {
    const read = readChange(row, config)
    if ('length' in read) {
      const section = `{${Object.entries(row)
        .map(([key, value]) => `'${key}': '${String(value)}'`)
        .join(', ')}}`
      return { errors: [...read, `Aborting config‐update: invalid section ${section}`] }
    }
    changes.push(read)
  }
  return changes
}

function parseRows(text: string): readonly ChangeRow[] | undefined {
  try {
    const value: unknown = JSON.parse(text)
    const isList =
      Array.isArray(value) && value.every((row) => typeof row === 'object' && row !== null)
    return isList ? (value as readonly ChangeRow[]) : undefined
  } catch {
    return undefined
  }
}

function readChange(
  row: ChangeRow,
  { servers, models }: Pick<BarmanConfig, 'servers' | 'models'>,
): SectionChange | string[] {
  const { scope } = row
  if (scope !== 'server' && scope !== 'model') return ["'scope' must be 'server' or 'model'"]
  const nameKey = `${scope}_name`
  const name = textOf(row[nameKey])
  const known = (scope === 'server' ? servers : models).some((each) => each.name === name)
  if (!known) return [`Unknown ${scope} '${name}'`]
  const options = new Map(
    Object.entries(row)
      .filter(([key]) => key !== 'scope' && key !== nameKey)
      .map(([key, value]) => [key, textOf(value)]),
  )
  const errors = [...options].flatMap(([key, text]) => whyRefused(key, text, { scope, name }) ?? [])
  return errors.length > 0 ? errors : { kind: scope, name, options }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
}

function whyRefused(
  key: string,
  text: string,
  { scope, name }: { readonly scope: SectionChange['kind']; readonly name: string },
): string | undefined {
  const option = SERVER_OPTIONS.get(key)
  if (option === undefined || !option.scope.includes(scope === 'server' ? 'S' : 'M')) {
    return `Invalid option '${key}' for ${scope} '${name}'`
  }
  if (/[\n\r]/.test(text)) return `The value of option '${key}' has several lines`
  const { why } = readOption(option.kind, text)
  return why === undefined ? undefined : `Invalid value of option '${key}': ${why}`
}

/**
 * The text of the file with the changes in it.
 * @throws {BackstayError} CONFIG_INVALID when `before` cannot be read.
 */
export function withChanges(
  before: string,
  file: string,
  changes: readonly SectionChange[],
): string {
  const sections: IniSections = new Map()
  readIni(before, file, sections)
  for (const { name, options } of changes) {
    const section = sections.get(name) ?? new Map<string, IniValue>()
    for (const [key, text] of options)
      section.set(key, { text: text.replaceAll('%', '%%'), file, line: 0 })
    sections.set(name, section)
  }
  const texts = [...sections].map(
    ([name, section]) =>
      `\n[${name}]\n${[...section].map(([key, { text }]) => `${key} = ${text.replaceAll('\n', '\n  ')}\n`).join('')}`,
  )
  return `${HEADER}${texts.join('')}`
}
