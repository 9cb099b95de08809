/**
 * What a command is given and what it gives back. Commands print nothing themselves: main renders
 * the result.
 */
import type { LoadedCluster } from '../config/load.ts'
import type { Clock } from '../util/clock.ts'
import type { ArgumentSpec, ArgumentValues, OptionSpecs, OptionValues } from './option-spec.ts'
import type { Environment } from '../util/environment.ts'
import type { Output } from './output/output.ts'

/** Everything a command may touch of the world outside. */
export interface CommandContext<
  O extends OptionSpecs = OptionSpecs,
  A extends readonly ArgumentSpec[] = readonly ArgumentSpec[],
> {
  readonly options: OptionValues<O>
  readonly arguments: ArgumentValues<A>
  /**
   * Reads the cluster file (once) from --config or the usual places.
   * @throws CONFIG_MISSING, CONFIG_INVALID
   */
  readonly config: () => Promise<LoadedCluster>
  readonly output: Output
  readonly clock: Clock
  /** Aborts on SIGINT, SIGTERM and SIGHUP with an INTERRUPTED error as reason. */
  readonly signal: AbortSignal
  readonly stdin: NodeJS.ReadStream
  /** For commands whose result is bytes (`wal get -`); text goes through the result. */
  readonly stdout: NodeJS.WriteStream
  readonly environment: Environment
  /** --accept-new-host-keys */
  readonly acceptsNewHostKeys: boolean
  readonly workingDirectory: string
  /**
   * Whose files are obeyed, by number: this process's user's and root's, and for root those of who
   * called sudo.
   */
  readonly trusted: ReadonlySet<number>
}

/** What a command found out. A command that has nothing to say returns nothing. */
export interface CommandResult {
  /**
   * Printed with --json: one object, camelCase keys, bytes as numbers, times as ISO 8601 UTC, LSNs
   * as text.
   */
  readonly data: object
  /** For people: printed without --json, a newline is added where it ends without one. */
  text(): string
  /** Default 0; 3 for partly done or a check that is not OK. */
  readonly exitCode?: number
}
