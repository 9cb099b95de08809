/**
 * What a command of Barman's is given when it runs.
 */
import type { BarmanConfig } from '../config/barman/model.ts'
import type { Clock } from '../util/clock.ts'
import type { BarmanOptionValues } from './command-line/option-table.ts'
import type { GlobalOptions } from './command-line/values.ts'
import type { BarmanOutput } from './output/output.ts'

/** Everything a command may use of the process it runs in. */
export interface BarmanContext {
  readonly config: BarmanConfig
  readonly globals: GlobalOptions
  readonly options: BarmanOptionValues
  /** The words after the command. */
  readonly words: readonly string[]
  readonly output: BarmanOutput
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly stdin: NodeJS.ReadStream
  readonly stdout: NodeJS.WriteStream
  /** Of the user the command runs as. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** `backstay 0.1.0`. */
  readonly createdBy: string
}

/** A command. What it says goes to `output`, which keeps the exit code. */
export type BarmanAction = (context: BarmanContext) => Promise<void>
