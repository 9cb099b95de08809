/**
 * What the two clients share: their common options, their usage errors and how they end.
 */
import { Command, CommanderError } from 'commander'
import { BackstayError } from '../../errors/backstay-error.ts'
import { printable } from '../../errors/printable.ts'
import { redact } from '../../errors/redact.ts'
import { endProcess } from '../../util/end-process.ts'
import { readWord } from '../command-line/word-kinds.ts'
import { backstayVersion, BARMAN_VERSION } from '../version.ts'

/** Bad words, or a file that cannot be read or written. */
export const USAGE_EXIT_CODE = 2

/** A message and the exit code that goes with it. */
export class ClientError extends Error {
  readonly exitCode: number

  constructor(message: string, exitCode: number) {
    super(message)
    this.name = 'ClientError'
    this.exitCode = exitCode
  }
}

/** The options both clients have, as they are read. */
export interface ClientOptions {
  readonly user: string
  readonly port?: string
  readonly config?: string
  readonly test?: boolean
}

/** A program with the options both clients have. */
export function clientProgram(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .version(
      `${name} ${BARMAN_VERSION} (Backstay ${backstayVersion()})`,
      '-V, --version',
      'print the version',
    )
    .option('-U, --user <USER>', 'user on the Barman host', 'barman')
    .option('--port <PORT>', 'ssh port of the Barman host', (word) =>
      String(readWord('port', word)),
    )
    .option('-c, --config <CONFIG>', 'configuration file on the Barman host')
    .option('-t, --test', 'only test connection and configuration')
    .exitOverride()
}

/** Parses, runs and ends the process. */
export async function runClient(program: Command, work: () => Promise<number>): Promise<void> {
  await endProcess(await exitCodeOf(program, work))
}

async function exitCodeOf(program: Command, work: () => Promise<number>): Promise<number> {
  try {
    program.parse()
    return await work()
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE_EXIT_CODE
    const message = error instanceof Error ? error.message : String(error)
    process.stderr.write(printable(`ERROR: ${redact(message)}\n`))
    if (error instanceof ClientError) return error.exitCode
    return error instanceof BackstayError ? 1 : USAGE_EXIT_CODE
  }
}
