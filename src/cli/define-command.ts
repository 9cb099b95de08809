/**
 * What a command is: one object of data from which parsing, --help, completion and docs/reference/commands.md come,
 * and a lazy `load` of the module that does the work, so that `--help` and completion never load the engine.
 */
import type { ErrorCode } from '../errors/codes.ts'
import type { CommandContext, CommandResult } from './context.ts'
import type { ArgumentSpec, OptionSpecs } from './option-spec.ts'

/** A command as data. Its path (`wal push`) is its key in commands/registry.ts. */
export interface CommandDefinition<
  O extends OptionSpecs = OptionSpecs,
  A extends readonly ArgumentSpec[] = readonly ArgumentSpec[],
> {
  /** Half a sentence for the list of commands, without full stop. */
  readonly summary: string
  /** What --help says below the usage line. */
  readonly description?: string
  readonly options?: O
  readonly arguments?: A
  readonly hidden?: true
  /** `config`: the command reads the cluster file, so --help names the errors of reading it. */
  readonly needs?: { readonly config?: true }
  /** Where the command has to run: started elsewhere, it is run there over ssh. Default: where it is started. */
  readonly runsOn?: 'backup server'
  /** Goes on when its terminal or session goes away (SIGHUP): nobody is sitting at it. Default: it ends in order. */
  readonly staysOnHangup?: true
  /** Errors an operator should expect beyond those of every command; --help lists their exit codes. */
  readonly exits?: readonly ErrorCode[]
  /** Whole command lines. */
  readonly examples?: readonly string[]
  load(): Promise<{ run(context: CommandContext<O, A>): Promise<CommandResult | void> }>
}

/**
 * Declares a command. Keep `options` and `arguments` in constants of their own (`as const satisfies OptionSpecs`):
 * the module that `load` imports takes its context type from them.
 */
export function defineCommand<
  const O extends OptionSpecs = OptionSpecs,
  const A extends readonly ArgumentSpec[] = readonly ArgumentSpec[],
>(definition: CommandDefinition<O, A>): CommandDefinition {
  return definition
}
