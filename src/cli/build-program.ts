/**
 * The commander program for a set of commands: it prints nothing, never ends the process, and only
 * notes what it heard.
 */
import { Command } from 'commander'
import type { CatalogueEntry, ListedCommand, Registry } from './catalogue.ts'
import { argumentHelp, argumentWord, helpTail, makeOption } from './commander-parts.ts'
import { GLOBAL_OPTIONS } from './global-options.ts'

/** What parsing hangs on besides the words. */
export interface ParseOptions {
  readonly registry: Registry
  readonly version: string
  /** Width of --help. */
  readonly columns: number
}

/** What commander understood; filled while it parses. */
export interface Heard {
  /** The help or version that was asked for. */
  help: string
  command: HeardCommand | undefined
}

/** The command that was meant, and the commander object that holds its values. */
export interface HeardCommand {
  readonly entry: CatalogueEntry
  readonly command: Command
}

const TAIL = 'Run `backstay COMMAND --help` for options, examples and exit codes of one command.'

/**
 * Builds the program. Parsing with it fills `heard`, and throws CommanderError for help and for
 * faults.
 */
export function buildProgram(
  entries: readonly (ListedCommand | CatalogueEntry)[],
  options: ParseOptions,
  heard: Heard,
): Command {
  const terms = new Map<Command, string>()
  const program = new Command('backstay')
    .description('PostgreSQL that stays up and comes back')
    .version(`backstay ${options.version}`, '-V, --version', 'Print the version')
    .helpOption('-h, --help', 'Print help')
    .helpCommand(false)
    .addHelpText('after', `\n${TAIL}`)
    .exitOverride()
    .configureHelp({
      showGlobalOptions: true,
      // Commander makes it from options and arguments, which are not loaded for a list.
      subcommandTerm: (command) => terms.get(command) ?? command.name(),
    })
    .configureOutput({
      writeOut: (text) => (heard.help += text),
      writeErr: () => {},
      outputError: () => {},
      getOutHelpWidth: () => options.columns,
      getOutHasColors: () => false,
    })
  for (const [name, spec] of Object.entries(GLOBAL_OPTIONS)) {
    program.addOption(makeOption(name, spec))
  }
  for (const entry of entries) {
    program.commandsGroup(`${entry.section}:`)
    const command = defineIn(parentOf(entry, program, options.registry), entry)
    terms.set(command, `${command.name()} ${entry.line.usage}`.trimEnd())
    if (!('definition' in entry)) continue
    describe(command, entry)
    command.action(() => {
      heard.command = { entry, command }
    })
  }
  return program
}

/** The program itself, or the group the command belongs to, made when its first command comes. */
function parentOf({ path }: ListedCommand, program: Command, registry: Registry): Command {
  const [group = '', verb] = path.split(' ')
  if (verb === undefined) return program
  const made = program.commands.find((command) => command.name() === group)
  return (
    made ??
    program
      .command(group)
      .helpCommand(false)
      .description(registry.groups[group] ?? '')
  )
}

function defineIn(parent: Command, { path, line }: ListedCommand): Command {
  const name = path.split(' ').at(-1) ?? path
  return parent.command(name, { hidden: line.hidden === true }).summary(line.summary)
}

/** What only the definition knows. */
function describe(command: Command, { definition, line }: CatalogueEntry): void {
  command
    .description(definition.description ?? `${line.summary}.`)
    .addHelpText('after', helpTail(definition))
  for (const [option, spec] of Object.entries(definition.options ?? {})) {
    command.addOption(makeOption(option, spec))
  }
  for (const argument of definition.arguments ?? []) {
    command.argument(argumentWord(argument), argumentHelp(argument))
  }
}
