/**
 * From a command line to a command with its values, or to the help that was asked for. Commander
 * parses; every fault becomes a USAGE error, nothing is printed and the process is not ended here.
 */
import { type Command, CommanderError } from 'commander'
import { BackstayError } from '../errors/backstay-error.ts'
import {
  commandWords,
  listCommands,
  type ListedCommand,
  loadOne,
  pathIn,
  type Registry,
} from './catalogue.ts'
import { buildProgram, type Heard, type HeardCommand, type ParseOptions } from './build-program.ts'
import { argumentValues, rawOptions } from './commander-parts.ts'
import type { CommandDefinition } from './define-command.ts'
import { GLOBAL_OPTIONS, type GlobalValues } from './global-options.ts'
import { optionValues } from './option-values.ts'

/** What a command line asks for. */
export type Invocation = { readonly kind: 'help'; readonly text: string } | RunInvocation

/** A command to run. */
export interface RunInvocation {
  readonly kind: 'run'
  readonly path: string
  readonly definition: CommandDefinition
  readonly globals: GlobalValues
  readonly options: Readonly<Record<string, unknown>>
  readonly arguments: Readonly<Record<string, unknown>>
}

/** Parses the words after the program's name. @throws USAGE */
export async function parseCommandLine(
  words: readonly string[],
  options: ParseOptions,
): Promise<Invocation> {
  const argv = words[0] === 'help' ? [...words.slice(1), '--help'] : words
  const path = pathIn(options.registry, argv)
  const entries =
    path === undefined ? listCommands(options.registry) : await loadOne(options.registry, path)
  if (path === undefined) refuseBareGroup(argv, options.registry, entries)
  const heard: Heard = { help: '', command: undefined }
  const program = buildProgram(entries, options, heard)
  try {
    program.parse(argv.length === 0 ? ['--help'] : argv, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode !== 0) throw usageError(error, path)
  }
  return heard.command === undefined
    ? { kind: 'help', text: heard.help }
    : invocationOf(program, heard.command)
}

function invocationOf(program: Command, { entry, command }: HeardCommand): RunInvocation {
  const { path, definition } = entry
  return {
    kind: 'run',
    path,
    definition,
    globals: optionValues(GLOBAL_OPTIONS, rawOptions(program)) as GlobalValues,
    options: optionValues(definition.options ?? {}, rawOptions(command)),
    arguments: argumentValues(definition, command),
  }
}

function refuseBareGroup(
  argv: readonly string[],
  registry: Registry,
  entries: readonly ListedCommand[],
): void {
  const [group = '', second] = commandWords(argv)
  if (second !== undefined || !(group in registry.groups) || asksForHelp(argv)) return
  const verbs = entries
    .filter(({ path, line }) => path.startsWith(`${group} `) && line.hidden !== true)
    .map(({ path }) => path.slice(group.length + 1))
  throw new BackstayError(
    'USAGE',
    `Cannot run "${group}" alone: it needs one of ${verbs.join(', ')}`,
  )
}

function asksForHelp(argv: readonly string[]): boolean {
  return argv.includes('--help') || argv.includes('-h')
}

/** Commander's `error: unknown option '--jsn'\n(Did you mean --json?)` in our words. */
function usageError(error: CommanderError, path: string | undefined): BackstayError {
  const text = error.message
    .replace(/^error: /, '')
    .replace(/\s*\n\s*/g, ' ')
    .replaceAll("'", '"')
    .replace('(Did', '(did')
    .replace(/\.$/, '')
  return new BackstayError('USAGE', `Cannot read the command line: ${text}`, {
    hint: `Run \`backstay ${path === undefined ? '' : `${path} `}--help\`.`,
  })
}
