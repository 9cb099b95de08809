/**
 * The program `barman`: reads the command line and the main configuration file, becomes
 * barman_user, reads the rest, runs the command, and is the one place where an error becomes text
 * and an exit code.
 */
import { constants } from 'node:os'
import { printable } from '../errors/printable.ts'
import { BackstayError } from '../errors/backstay-error.ts'
import { systemClock } from '../util/clock.ts'
import { endProcess, exitNow } from '../util/end-process.ts'
import { completeConfig } from '../config/barman/load.ts'
import { readMainFile } from '../config/barman/main-file.ts'
import type { BarmanConfig } from '../config/barman/model.ts'
import { becomeUser } from './become-user.ts'
import type { GlobalOptions } from './command-line/values.ts'
import { type BarmanInvocation, parseCommandLine } from './command-line/parse.ts'
import type { BarmanContext } from './context.ts'
import { openLog } from './output/log-file.ts'
import { BarmanOutput } from './output/output.ts'
import { backstayVersion, BARMAN_VERSION } from './version.ts'

type BarmanRunInvocation = Extract<BarmanInvocation, { kind: 'run' }>

const USAGE_EXIT_CODE = 2
/** Added to a signal's number, as shells do. */
const SIGNALLED = 128

/** Runs the command line of this process and ends the process. */
export async function main(words: readonly string[] = process.argv.slice(2)): Promise<void> {
  process.stdout.on('error', () => exitNow(1))
  process.stderr.on('error', () => {})
  await endProcess(await run(words))
}

async function run(words: readonly string[]): Promise<number> {
  const version = `${BARMAN_VERSION} Barman commands by Backstay ${backstayVersion()}`
  const invocation = parseCommandLine(words, version)
  if (invocation.kind === 'usage') {
    process.stderr.write(printable(invocation.text))
    return USAGE_EXIT_CODE
  }
  if (invocation.kind === 'help') {
    process.stdout.write(invocation.text)
    return 0
  }
  const { globals } = invocation
  // Until the configuration is read there is no log.
  const early = makeOutput(globals, undefined)
  try {
    const main = await readMainFile({
      file: globals.config,
      environmentFile: process.env['BARMAN_CONFIG_FILE'],
      home: process.env['HOME'],
      sudoUid: process.env['SUDO_UID'],
    })
    const home = await becomeUser(main.barmanUser)
    // Not before: what barman's user may write could lead root to any file.
    return await runCommand(invocation, await completeConfig(main), home)
  } catch (error) {
    reportError(early, error)
    early.finish()
    return early.exitCode
  }
}

async function runCommand(
  invocation: BarmanRunInvocation,
  config: BarmanConfig,
  home: string | undefined,
): Promise<number> {
  const { globals, command, options, words } = invocation
  const output = makeOutput(globals, config)
  for (const warning of config.warnings) output.warning(warning)
  for (const error of config.errors) output.error(error)
  if (config.errors.length === 0) {
    const context: BarmanContext = {
      config,
      globals,
      options,
      words,
      output,
      clock: systemClock,
      signal: watchSignals(command.stopsInOrder === true),
      stdin: process.stdin,
      stdout: process.stdout,
      environment: {
        ...process.env,
        HOME: home ?? process.env['HOME'],
        USER: config.barmanUser,
      },
      createdBy: `backstay ${backstayVersion()}`,
    }
    try {
      const action = await command.load()
      await action.run(context)
    } catch (error) {
      reportError(output, error)
    }
  }
  output.finish()
  return output.exitCode
}

function makeOutput(globals: GlobalOptions, config: BarmanConfig | undefined): BarmanOutput {
  const { stdout, stderr } = process
  const isTerminal = stdout.isTTY && stderr.isTTY
  return new BarmanOutput({
    format: globals.format,
    isQuiet: globals.quiet,
    isColoured: globals.color === 'always' || (globals.color !== 'never' && isTerminal),
    stdout,
    stderr,
    log: openLog(config?.logFile, globals.logLevel ?? config?.logLevel ?? 'INFO', systemClock),
  })
}

function reportError(output: BarmanOutput, error: unknown): void {
  if (error instanceof BackstayError) {
    const hint = error.code.startsWith('CONFIG') ? '' : `\nHINT: ${error.hint}`
    output.error(`${error.message}${hint}`)
    return
  }
  output.exception(error instanceof Error ? (error.stack ?? error.message) : String(error))
}

/**
 * Commands that cannot stop in order end at once: whatever they write is there whole or not at all.
 */
function watchSignals(stopsInOrder: boolean): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (!stopsInOrder) exitNow(SIGNALLED + constants.signals[name])
      controller.abort(new BackstayError('INTERRUPTED', `Interrupted by ${name}`))
    })
  }
  return controller.signal
}
