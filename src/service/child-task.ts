/**
 * A task in a process of its own, so that no work of the service can delay it: the WAL receiver has
 * to answer within microseconds while a backup moves gigabytes.
 */
import { spawn } from 'node:child_process'
import { BackstayError } from '../errors/backstay-error.ts'

/**
 * A program to run. It inherits standard error, where it logs. Its standard input ends when this
 * process does, whatever ends it.
 */
export interface ChildProgram {
  readonly command: string
  readonly arguments: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Between SIGTERM and SIGKILL. */
  readonly stopTimeoutMs: number
}

/**
 * Runs the program until it ends, or until `signal` aborts: then it gets SIGTERM, and SIGKILL when
 * it does not end in time.
 * @throws {BackstayError} FAILED when it ends by itself with another exit code than 0
 * (`details.exitCode`), or cannot be started.
 */
export async function runChild(program: ChildProgram, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  const child = spawn(program.command, program.arguments, {
    stdio: ['pipe', 'ignore', 'inherit'],
    env: program.environment,
  })
  const ended = Promise.withResolvers<string | undefined>()
  let exitCode: number | null = null
  child.once('error', (error) => ended.resolve(error.message))
  child.once('exit', (code, signalName) => {
    exitCode = code
    ended.resolve(code === 0 ? undefined : `it ended with ${signalName ?? `exit code ${code}`}`)
  })
  let killer: NodeJS.Timeout | undefined
  const stop = (): void => {
    child.kill('SIGTERM')
    killer = setTimeout(() => child.kill('SIGKILL'), program.stopTimeoutMs)
  }
  signal.addEventListener('abort', stop, { once: true })
  const problem = await ended.promise
  signal.removeEventListener('abort', stop)
  clearTimeout(killer)
  if (problem === undefined || signal.aborted) return
  throw new BackstayError('FAILED', `Cannot keep "${program.command}" running: ${problem}`, {
    details: { arguments: program.arguments, exitCode },
  })
}
