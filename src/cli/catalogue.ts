/**
 * Reads the registry: which command a command line means, and the definitions that have to be loaded for it.
 */
import type { CommandLoader, Registry } from './commands/registry.ts'
import type { CommandDefinition } from './define-command.ts'

/** A command with its place in the registry. */
export interface CatalogueEntry {
  /** `config check` */
  readonly path: string
  readonly section: string
  readonly definition: CommandDefinition
}

/** Every command of the registry, loaded. */
export async function loadAll(registry: Registry): Promise<CatalogueEntry[]> {
  return Promise.all(
    entriesOf(registry).map(async ([path, section, load]) => {
      return { path, section, definition: (await load()).default }
    }),
  )
}

/** The command at `path`, loaded. */
export async function loadOne(registry: Registry, path: string): Promise<CatalogueEntry[]> {
  const found = entriesOf(registry).filter(([name]) => name === path)
  return Promise.all(
    found.map(async ([, section, load]) => ({ path, section, definition: (await load()).default })),
  )
}

/** The path of the command that `words` begin with, options skipped; undefined when they name none. */
export function pathIn(registry: Registry, words: readonly string[]): string | undefined {
  const [first = '', second = ''] = commandWords(words)
  const paths = new Set(entriesOf(registry).map(([path]) => path))
  return [`${first} ${second}`, first].find((path) => paths.has(path))
}

/** The first two words that are neither options nor the value of --config. */
export function commandWords(words: readonly string[]): readonly string[] {
  const end = words.indexOf('--')
  const before = end === -1 ? words : words.slice(0, end)
  return before
    .filter((word, index) => !word.startsWith('-') && !takesNext(before[index - 1]))
    .slice(0, 2)
}

function takesNext(word: string | undefined): boolean {
  return word === '-c' || word === '--config'
}

function entriesOf(registry: Registry): (readonly [string, string, CommandLoader])[] {
  return registry.sections.flatMap(({ title, commands }) =>
    Object.entries(commands).map(([path, load]) => [path, title, load] as const),
  )
}
