/**
 * The options of one server's section: inherited, with defaults, references replaced, each checked
 * by its kind.
 */
import { interpolate } from './interpolate.ts'
import type { IniValue } from './ini.ts'
import { readOption } from './option-kinds.ts'
import { type BarmanOption, SECTION_OPTIONS, SERVER_OPTIONS } from './options.ts'
import { unquote } from './values.ts'

/** What a section is resolved with. */
export interface SectionAround {
  readonly global: ReadonlyMap<string, IniValue>
  readonly section: ReadonlyMap<string, IniValue>
  /** What `%(…)s` may also name: `name`, `barman_home`, … */
  readonly extra: ReadonlyMap<string, string>
  readonly warn: (text: string) => void
}

/** What is meant by an option: its text, and whether somebody wrote it. */
export interface ResolvedOption {
  readonly text: string | undefined
  readonly isSet: boolean
}

/**
 * All options of the section called `name`.
 * @throws {BackstayError} CONFIG_INVALID for a reference that cannot be replaced.
 */
export function resolveOptions(
  name: string,
  around: SectionAround,
): ReadonlyMap<string, ResolvedOption> {
  warnUnknown(name, around)
  const resolved = new Map<string, ResolvedOption>()
  for (const option of SERVER_OPTIONS.values()) {
    resolved.set(option.name, resolveOption(name, option, around))
  }
  return resolved
}

function warnUnknown(name: string, { section, warn }: SectionAround): void {
  for (const key of section.keys()) {
    if (SERVER_OPTIONS.has(key) || SECTION_OPTIONS.has(key)) continue
    warn(`Invalid configuration option "${key}" in [${name}] section.`)
  }
}

function resolveOption(name: string, option: BarmanOption, around: SectionAround): ResolvedOption {
  const standard = standardOf(option, name, around)
  const written = writtenOf(option, around)
  if (written === undefined) return { text: standard, isSet: false }
  const text = unquote(interpolate(written.text, lookupOf(around), placeOf(option, written)))
  if (text === '' || text === 'None') return { text: undefined, isSet: false }
  const { value, why } = readOption(option.kind, text)
  if (why === undefined) return { text: value, isSet: true }
  // Barman prints the value; a connection string never comes here, so it is no secret.
  around.warn(
    `Ignoring invalid configuration value '${text}' for key ${option.name} in [${name}] section: ${why}`,
  )
  return { text: standard, isSet: false }
}

/** What the server's section says, else what it inherits. */
function writtenOf(option: BarmanOption, around: SectionAround): IniValue | undefined {
  const own = around.section.get(option.name)
  if (own !== undefined) return own
  return option.scope.startsWith('G') ? around.global.get(option.name) : undefined
}

function standardOf(option: BarmanOption, name: string, around: SectionAround): string | undefined {
  const { standard } = option
  if (standard === undefined) return undefined
  return interpolate(standard, lookupOf(around), `the default of "${option.name}" in [${name}]`)
}

function lookupOf(around: SectionAround): (name: string) => string | undefined {
  return (name) => {
    const known = around.extra.get(name)
    if (known !== undefined) return known
    const option = SERVER_OPTIONS.get(name)
    const written = option === undefined ? undefined : writtenOf(option, around)
    if (written !== undefined) return unquote(written.text)
    // A connection that is not configured is no error where another one defaults to it.
    return option === undefined ? undefined : (option.standard ?? '')
  }
}

function placeOf({ name }: BarmanOption, { file, line }: IniValue): string {
  return `"${name}" in "${file}" line ${line}`
}
