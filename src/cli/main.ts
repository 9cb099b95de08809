/**
 * The program: reads the command line, runs the command, prints its result, and is the one place
 * where an error becomes text or JSON and an exit code. The only reader of the environment and of
 * the process's streams.
 */
import type { LoadedCluster } from '../config/load.ts'
import { BackstayError } from '../errors/backstay-error.ts'
import { redact } from '../errors/redact.ts'
import { printable } from '../errors/printable.ts'
import { firstErrorOf } from '../errors/first-error.ts'
import { exitCodeOf, renderErrorJson, renderErrorText } from '../errors/render.ts'
import { systemClock } from '../util/clock.ts'
import { endProcess, exitNow } from '../util/end-process.ts'
import { trustedUids } from '../util/trusted-path.ts'
import type { Registry } from './catalogue.ts'
import { REGISTRY } from './commands/registry.ts'
import type { CommandContext, CommandResult } from './context.ts'
import { type Interrupts, watchInterrupts } from './interrupts.ts'
import { renderJson } from './output/json.ts'
import { makeOutput } from './output/output.ts'
import { parseCommandLine, type RunInvocation } from './parse.ts'
import { recoveryExitCode } from './recovery-exit-code.ts'
import { readVersion } from './version.ts'

const HELP_COLUMNS = 100

/** Runs the command line of this process and ends the process. */
export async function main(registry: Registry = REGISTRY): Promise<void> {
  const interrupts = watchInterrupts(process)
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') interrupts.interrupt('SIGPIPE')
    else exitNow(reportError(outputError(error), interrupts))
  })
  process.stderr.on('error', () => {})
  process.on('uncaughtException', (error) => exitNow(reportError(error, interrupts)))
  const exitCode = await run(registry, interrupts).catch((error: unknown) =>
    reportError(error, interrupts),
  )
  await endProcess(exitCode)
}

async function run(registry: Registry, interrupts: Interrupts): Promise<number> {
  const invocation = await parseCommandLine(process.argv.slice(2), {
    registry,
    version: readVersion(),
    columns: Math.min(process.stdout.columns ?? HELP_COLUMNS, HELP_COLUMNS),
  })
  if (invocation.kind === 'help') {
    process.stdout.write(invocation.text)
    return 0
  }
  if (invocation.definition.staysOnHangup === true && !process.stdin.isTTY) {
    interrupts.ignoreHangup()
  }
  const context = await makeContext(invocation, interrupts)
  if (invocation.definition.runsOn === 'backup server') {
    const exitCode = await runElsewhere(context)
    if (exitCode !== undefined) return exitCode
  }
  const result = await invocation.definition.run(context)
  if (result !== undefined) print(result, invocation.globals.json)
  return result?.exitCode ?? 0
}

/** Undefined when the command has to run here. */
async function runElsewhere(context: CommandContext): Promise<number | undefined> {
  const { runOnBackupServer } = await import('./session/backup-server.ts')
  const ended = await runOnBackupServer(context, process.argv.slice(2))
  if (ended === undefined) return undefined
  // A Backstay has done so already, whether it is text or JSON; who else is at that machine may not
  // have.
  process.stdout.write(printable(ended.stdout))
  process.stderr.write(printable(ended.stderr))
  return ended.exitCode
}

async function makeContext(
  invocation: RunInvocation,
  interrupts: Interrupts,
): Promise<CommandContext> {
  const { globals, options } = invocation
  const { stdin, stdout, env: environment } = process
  const workingDirectory = process.cwd()
  // Some commands become another user before they read the file.
  const trusted = trustedUids(process.getuid?.() ?? 0, environment['SUDO_UID'])
  let loaded: Promise<LoadedCluster> | undefined
  const load = async () => {
    const { loadCluster } = await import('../config/load.ts')
    return loadCluster({
      file: globals.config,
      workingDirectory,
      home: environment['HOME'],
      trusted,
    })
  }
  return {
    options,
    arguments: invocation.arguments,
    config: () => (loaded ??= load()),
    output: await makeOutput({ stdout, environment, clock: systemClock, globals }),
    clock: systemClock,
    signal: interrupts.signal,
    stdin,
    stdout,
    environment,
    acceptsNewHostKeys: globals.acceptNewHostKeys,
    workingDirectory,
    trusted,
  } as CommandContext
}

function print(result: CommandResult, isJson: boolean): void {
  if (isJson) {
    process.stdout.write(renderJson(result.data, process.stdout.isTTY))
    return
  }
  const text = printable(result.text())
  process.stdout.write(text === '' || text.endsWith('\n') ? text : `${text}\n`)
}

/** What we say cannot be written: whoever reads it has half of it. */
function outputError(error: NodeJS.ErrnoException): BackstayError {
  const isFull = error.code === 'ENOSPC' || error.code === 'EDQUOT'
  const why = isFull ? 'no space left on the device' : error.message
  return new BackstayError(
    isFull ? 'DISK_SPACE' : 'FAILED',
    `Cannot write to standard output: ${why}`,
    { cause: error },
  )
}

/** Writes the error to stderr and returns the exit code. */
function reportError(thrown: unknown, interrupts: Interrupts): number {
  const { signal } = interrupts
  const reason = firstErrorOf(thrown)
  const isAbort = reason instanceof Error && reason.name === 'AbortError'
  const error: unknown = signal.aborted && isAbort ? signal.reason : reason
  const words = process.argv.slice(2)
  if (words.includes('--json')) {
    process.stderr.write(renderJson(renderErrorJson(error), process.stderr.isTTY))
  } else {
    const isVerbose = words.includes('--verbose') && error instanceof BackstayError
    const stack = isVerbose ? `${printable(redact(error.stack ?? ''))}\n` : ''
    process.stderr.write(`${renderErrorText(error)}${stack}`)
  }
  return interrupts.exitCode() ?? recoveryExitCode(words, error) ?? exitCodeOf(error)
}
