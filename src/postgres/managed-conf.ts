/**
 * Our own settings file, `backstay.conf` beside postgresql.conf, and the one line in
 * postgresql.conf that includes it. The line stands last so that our settings win over the
 * operator's file; postgresql.auto.conf (ALTER SYSTEM) is read after it and wins over both, which
 * `findAutoConfOverrides` makes visible.
 */
import { appendConfLines, type ConfSettings, formatConfLine, includeKindOf } from './conf-file.ts'
import { type ConfLine, scanConf } from './conf-scanner.ts'

/** Name of the settings file we own, relative to postgresql.conf. */
export const MANAGED_CONF_NAME = 'backstay.conf'

const HEADER = [
  '# Managed by Backstay; do not edit: the next `backstay up` writes it anew.',
  '# Put settings of your own into the cluster file, or into postgresql.conf.',
]
const INCLUDE_COMMENT =
  '# Settings managed by Backstay: keep this line last, later lines would win over it.'
const INCLUDE_LINE = `include_if_exists = '${MANAGED_CONF_NAME}'`

/** A setting of ours that ALTER SYSTEM overrides. */
export interface AutoConfOverride {
  readonly name: string
  readonly managed: string
  /** The value in postgresql.auto.conf, which wins. */
  readonly effective: string
}

/** The whole content of our settings file, sorted by name. */
export function formatManagedConf(settings: Readonly<Record<string, string>>): string {
  const lines = Object.entries(settings)
    .map(([name, value]) => formatConfLine(name.toLowerCase(), value))
    .sort()
  return [...HEADER, '', ...lines, ''].join('\n')
}

/**
 * postgresql.conf with our include as its last active line; the same text when it is so already.
 */
export function ensureManagedInclude(text: string): string {
  const active = scanConf(text).filter((line) => line.kind !== 'blank')
  const includes = active.filter(isManagedInclude)
  const last = active.at(-1)
  if (includes.length === 1 && last === includes[0]) return text
  return appendConfLines(removeManagedInclude(text), [INCLUDE_COMMENT, INCLUDE_LINE])
}

/** postgresql.conf without our include and its comment. */
export function removeManagedInclude(text: string): string {
  return scanConf(text)
    .filter((line) => !isManagedInclude(line) && line.text.trimEnd() !== INCLUDE_COMMENT)
    .map((line) => line.text)
    .join('')
}

/**
 * Which of our settings ALTER SYSTEM overrides with another text, by name. `sameSettingValue` tells
 * whether it means the same.
 * @param autoConf what postgresql.auto.conf sets (`settingsOf` of it).
 */
export function findAutoConfOverrides(
  managed: Readonly<Record<string, string>>,
  autoConf: ConfSettings,
): readonly AutoConfOverride[] {
  return Object.entries(managed).flatMap(([name, value]) => {
    const effective = autoConf.get(name.toLowerCase())
    return effective === undefined || effective === value
      ? []
      : [{ name, managed: value, effective }]
  })
}

function isManagedInclude(line: ConfLine): boolean {
  if (line.kind !== 'directive' || includeKindOf(line) === undefined) return false
  return line.value.replace(/^\.\//, '') === MANAGED_CONF_NAME
}
