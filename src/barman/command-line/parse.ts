/**
 * Reads Barman's command line: global options before the command, long options that may be
 * shortened as long as they are unique, usage errors with exit code 2. Prints nothing.
 */
import { Command, CommanderError, Option } from 'commander'
import { COMMANDS } from './commands.ts'
import type { BarmanCommandSpec, BarmanOptionSpec } from './spec.ts'
import type { BarmanOptionValues } from './option-table.ts'
import type { GlobalOptions } from './values.ts'
import { readWord } from './word-kinds.ts'

/**
 * What a command line asks for: help, the complaint about a wrong one, or a command with its words.
 */
export type BarmanInvocation =
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'usage'; readonly text: string }
  | {
      readonly kind: 'run'
      readonly command: BarmanCommandSpec
      readonly globals: GlobalOptions
      readonly options: BarmanOptionValues
      readonly words: readonly string[]
    }

const FORMATS = ['console', 'json']
const COLOURS = ['never', 'always', 'auto']
const LEVELS = ['NOTSET', 'DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL']

const GLOBALS: readonly BarmanOptionSpec[] = [
  { flags: '-c, --config <FILE>', help: 'the configuration file' },
  { flags: '--color <WHEN>', help: 'colours: never, always, auto', choices: COLOURS },
  { flags: '--colour <WHEN>', help: 'the same as --color', choices: COLOURS },
  { flags: '--log-level <LEVEL>', help: 'what the log file holds', choices: LEVELS },
  { flags: '-q, --quiet', help: 'print no messages' },
  { flags: '-d, --debug', help: 'print more messages' },
  { flags: '-f, --format <FORMAT>', help: 'how results are printed', choices: FORMATS },
]

/** Parses the words after the program's name. `version` is the line --version prints. */
export function parseCommandLine(words: readonly string[], version: string): BarmanInvocation {
  let text = ''
  const heard: { invocation: BarmanInvocation | undefined } = { invocation: undefined }
  const program = new Command('barman')
    .description('Backup and recovery of PostgreSQL, with the commands of Barman')
    .version(version, '-v, --version', 'print the version')
    .helpCommand('help', 'print this help')
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ writeOut: (part) => (text += part), writeErr: () => {} })
  for (const option of GLOBALS) program.addOption(makeOption(option))
  const meant = commandIn(words)
  for (const spec of meant === undefined ? COMMANDS : [meant]) defineCommand(program, spec, heard)
  const expanded = meant === undefined ? words : expandOptions(words, meant)
  try {
    program.parse(expanded.length === 0 ? ['--help'] : [...expanded], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    // Global options and no command.
    if (error.code === 'commander.help') return { kind: 'help', text: program.helpInformation() }
    if (error.exitCode !== 0) return { kind: 'usage', text: usageText(error, meant) }
  }
  return heard.invocation ?? { kind: 'help', text: text.endsWith('\n') ? text : `${text}\n` }
}

function defineCommand(
  program: Command,
  spec: BarmanCommandSpec,
  heard: { invocation: BarmanInvocation | undefined },
): void {
  const command = program
    .command(spec.name, { hidden: spec.isHidden === true })
    .description(spec.help)
  for (const alias of spec.aliases ?? []) command.alias(alias)
  for (const argument of spec.arguments ?? []) command.argument(argument)
  for (const option of spec.options ?? []) command.addOption(makeOption(option))
  command.action(() => {
    const globals = program.opts()
    heard.invocation = {
      kind: 'run',
      command: spec,
      globals: {
        config: globals['config'] as string | undefined,
        color: (globals['color'] ?? globals['colour']) as string | undefined,
        logLevel: globals['logLevel'] as string | undefined,
        quiet: globals['quiet'] === true,
        debug: globals['debug'] === true,
        format: globals['format'] === 'json' ? 'json' : 'console',
      },
      options: command.opts() as BarmanOptionValues,
      words: command.args,
    }
  })
}

function makeOption({ flags, help, choices, kind, isList }: BarmanOptionSpec): Option {
  const option = new Option(flags, help)
  if (choices !== undefined) option.choices(choices)
  if (kind !== undefined) option.argParser((word) => readWord(kind, word))
  if (isList === true) {
    option.argParser((word, before: readonly string[] | undefined) => [...(before ?? []), word])
  }
  return option
}

/** The command among the words: the first that is no global option and no value of one. */
function commandIn(words: readonly string[]): BarmanCommandSpec | undefined {
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? ''
    if (!word.startsWith('-')) return find(word)
    const takesValue = GLOBALS.some(
      ({ flags }) => flags.includes('<') && flags.split(/[ ,]+/).includes(word),
    )
    if (takesValue) index += 1
  }
  return undefined
}

function find(word: string): BarmanCommandSpec | undefined {
  return COMMANDS.find(({ name, aliases }) => name === word || aliases?.includes(word) === true)
}

/**
 * `--arch` becomes `--archive` when nothing else begins with it. What stands after `--` is left
 * alone.
 */
function expandOptions(words: readonly string[], spec: BarmanCommandSpec): string[] {
  const longs = (spec.options ?? []).flatMap(({ flags }) => flags.match(/--[a-z0-9-]+/g) ?? [])
  const end = words.includes('--') ? words.indexOf('--') : words.length
  return words.map((word, index) => {
    const [given = '', ...value] = word.split('=')
    if (index >= end || !given.startsWith('--') || longs.includes(given)) return word
    const fitting = longs.filter((long) => long.startsWith(given))
    return fitting.length === 1 ? [fitting[0], ...value].join('=') : word
  })
}

function usageText(error: CommanderError, spec: BarmanCommandSpec | undefined): string {
  const name = spec === undefined ? 'barman' : `barman ${spec.name}`
  const shape = spec === undefined ? 'COMMAND …' : (spec.arguments ?? []).join(' ')
  const why = error.message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ')
  return `usage: ${name} [options] ${shape}\n${name}: error: ${why}\n`
}
