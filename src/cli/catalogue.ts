/**
 * Reads the registry: which command a command line means, and what has to be loaded for it.
 */
import type { CommandDefinition } from './define-command.ts'

/** A command as the lists of --help show it, and where the rest is. */
export interface RegistryLine {
  /** Half a sentence, without full stop. */
  readonly summary: string
  /** What follows its name: `[options] <backup>`. */
  readonly usage: string
  readonly hidden?: true
  load(): Promise<{ readonly default: CommandDefinition }>
}

/** Commands under one heading of --help, by their path as typed. */
export interface CommandSection {
  readonly title: string
  readonly commands: Readonly<Record<string, RegistryLine>>
}

/** All commands and the words that stand before several of them. */
export interface Registry {
  readonly sections: readonly CommandSection[]
  /** First word of two-word commands → its line in --help. */
  readonly groups: Readonly<Record<string, string>>
}

/** A command with its place in the registry. */
export interface ListedCommand {
  /** `config check` */
  readonly path: string
  readonly section: string
  readonly line: RegistryLine
}

/** A command that is loaded. */
export interface CatalogueEntry extends ListedCommand {
  readonly definition: CommandDefinition
}

/** Every command of the registry; nothing is loaded. */
export function listCommands(registry: Registry): ListedCommand[] {
  return registry.sections.flatMap(({ title, commands }) =>
    Object.entries(commands).map(([path, line]) => ({ path, section: title, line })),
  )
}

/** Every command of the registry, loaded with its engine. */
export async function loadAll(registry: Registry): Promise<CatalogueEntry[]> {
  return Promise.all(listCommands(registry).map(load))
}

/** The command at `path`, loaded. */
export async function loadOne(registry: Registry, path: string): Promise<CatalogueEntry[]> {
  const found = listCommands(registry).filter((command) => command.path === path)
  return Promise.all(found.map(load))
}

async function load(command: ListedCommand): Promise<CatalogueEntry> {
  return { ...command, definition: (await command.line.load()).default }
}

/**
 * The path of the command that `words` begin with, options skipped; undefined when they name none.
 */
export function pathIn(registry: Registry, words: readonly string[]): string | undefined {
  const [first = '', second = ''] = commandWords(words)
  const paths = new Set(listCommands(registry).map(({ path }) => path))
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
