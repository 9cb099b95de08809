/**
 * What can be typed where: the command tree as the completion scripts need it.
 */
import type { CatalogueEntry, Registry } from '../catalogue.ts'
import { type ArgumentSpec, optionFlag, type OptionSpecs } from '../option-spec.ts'
import { GLOBAL_OPTIONS } from '../global-options.ts'

/** A word with what it means. */
export interface Word {
  readonly word: string
  readonly help: string
}

/** An option with what may follow it. */
export interface CompletedOption extends Word {
  /** `-c` */
  readonly short: string | undefined
  readonly follows: 'nothing' | 'file' | 'directory' | 'text' | readonly string[]
}

/** A point of the command line: after no word, after a group, after a command. */
export interface CompletionPlace {
  /** `''`, `config`, `config check` */
  readonly path: string
  readonly words: readonly Word[]
  readonly options: readonly CompletedOption[]
}

const GLOBALS = completedOptions(GLOBAL_OPTIONS)

/** All places of the command tree, the root first; hidden commands and options left out. */
export function completionPlaces(
  entries: readonly CatalogueEntry[],
  registry: Registry,
): CompletionPlace[] {
  const visible = entries.filter(({ line }) => line.hidden !== true)
  const groups = Object.entries(registry.groups).filter(([group]) =>
    visible.some(({ path }) => path.startsWith(`${group} `)),
  )
  const single = visible.filter(({ path }) => !path.includes(' '))
  return [
    {
      path: '',
      words: [...single.map(wordOf), ...groups.map(([word, help]) => ({ word, help }))],
      options: GLOBALS,
    },
    ...groups.map(([group]) => ({
      path: group,
      words: visible.filter(({ path }) => path.startsWith(`${group} `)).map(wordOf),
      options: GLOBALS,
    })),
    ...visible.map(({ path, definition }) => ({
      path,
      words: argumentWords(definition.arguments),
      options: [...completedOptions(definition.options ?? {}), ...GLOBALS],
    })),
  ]
}

function wordOf({ path, line }: CatalogueEntry): Word {
  return { word: path.split(' ').at(-1) ?? path, help: line.summary }
}

function argumentWords(specs: readonly ArgumentSpec[] = []): Word[] {
  return specs.flatMap(({ choices = [], help }) => choices.map((word) => ({ word, help })))
}

function completedOptions(specs: OptionSpecs): CompletedOption[] {
  return Object.entries(specs)
    .filter(([, spec]) => spec.hidden !== true)
    .map(([name, spec]) => ({
      word: optionFlag(name),
      help: spec.help,
      short: spec.short === undefined ? undefined : `-${spec.short}`,
      follows: spec.type === 'choice' ? spec.choices : pathKind(spec),
    }))
}

function pathKind(spec: OptionSpecs[string]): 'nothing' | 'file' | 'directory' | 'text' {
  if (spec.type === 'flag') return 'nothing'
  if (spec.value === 'FILE') return 'file'
  return spec.value === 'DIR' ? 'directory' : 'text'
}

/** The words that lead on, each after the place it follows: ` config`, `config check`. */
export function stepWords(places: readonly CompletionPlace[]): string[] {
  return places
    .filter(({ path }) => path !== '')
    .map(({ path }) => (path.includes(' ') ? path : ` ${path}`))
}
