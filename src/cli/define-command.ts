/**
 * What a command is: one object from which parsing, --help, completion and
 * docs/reference/commands.md come, and the function that does it.
 */
import type { ErrorCode } from '../errors/codes.ts'
import type { CommandContext, CommandResult } from './context.ts'
import type { ArgumentSpec, OptionSpecs } from './option-spec.ts'

/** A command as data. Its path (`wal push`) is its key in commands/registry.ts. */
export interface CommandDefinition<
  O extends OptionSpecs = OptionSpecs,
  A extends readonly ArgumentSpec[] = readonly ArgumentSpec[],
> {
  /** What --help says below the usage line. Default: the summary in the registry. */
  readonly description?: string
  readonly options?: O
  readonly arguments?: A
  /** `config`: the command reads the cluster file, so --help names the errors of reading it. */
  readonly needs?: { readonly config?: true }
  /**
   * Where the command has to run: started elsewhere, it is run there over ssh. Default: where it is
   * started.
   */
  readonly runsOn?: 'backup server'
  /**
   * Goes on when its terminal or session goes away (SIGHUP): nobody is sitting at it. Default: it
   * ends in order.
   */
  readonly staysOnHangup?: true
  /**
   * Errors an operator should expect beyond those of every command; --help lists their exit codes.
   */
  readonly exits?: readonly ErrorCode[]
  /** Whole command lines. */
  readonly examples?: readonly string[]
  run(context: CommandContext<O, A>): Promise<CommandResult | void>
}

/**
 * Declares a command. Keep `options` and `arguments` in constants of their own (`as const satisfies
 * OptionSpecs`): its context type comes from them.
 */
export function defineCommand<
  const O extends OptionSpecs = OptionSpecs,
  const A extends readonly ArgumentSpec[] = readonly ArgumentSpec[],
>(definition: CommandDefinition<O, A>): CommandDefinition {
  return definition
}
