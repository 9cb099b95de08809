/**
 * Running a command that must succeed.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import type { HostCommandOptions, HostCommandResult, Host } from './host.ts'
import { showCommand } from './shell-quote.ts'

const LINES_SHOWN = 20

/**
 * Runs `command` on `host`.
 * @throws HOST_COMMAND with the last lines it printed when it ends with another exit code than 0.
 */
export async function runChecked(
  host: Host,
  command: readonly string[],
  options: HostCommandOptions = {},
): Promise<HostCommandResult> {
  const result = await host.run(command, options)
  if (result.exitCode === 0) return result
  throw commandError(host.name, command, result)
}

/** The error for a command that ended with an exit code other than 0. */
export function commandError(
  host: string,
  command: readonly string[],
  result: HostCommandResult,
): BackstayError {
  const said = lastLines(result.stderr) || lastLines(result.stdout) || 'it printed nothing'
  return new BackstayError(
    'HOST_COMMAND',
    `Command failed on "${host}" with exit code ${result.exitCode}: ${showCommand(command)}: ${said}`,
    { details: { host, command: [...command], exitCode: result.exitCode } },
  )
}

/** The last lines of `text` that say something. */
export function lastLines(text: string, count: number = LINES_SHOWN): string {
  return text.trimEnd().split('\n').slice(-count).join('\n').trim()
}
