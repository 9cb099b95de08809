/**
 * Backstay's own commands as child processes: the demo does what its reader would type.
 */
import { spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { BackstayError } from '../../errors/backstay-error.ts'
import { selfProgram } from '../session/self-program.ts'
import type { Environment } from '../../util/environment.ts'

/** Between SIGTERM and SIGKILL. */
const STOP_TIMEOUT_MS = 45_000

/** What a child is started with. */
export interface OwnCommand {
  /** Absolute path of the cluster file. */
  readonly configFile: string
  readonly words: readonly string[]
  readonly environment: Environment
}

/**
 * Runs a command with --json to its end and gives its object.
 * @throws FAILED with what the command said.
 */
export async function runOwnCommand(command: OwnCommand, signal: AbortSignal): Promise<unknown> {
  const child = start({ ...command, words: [...command.words, '--json'] }, 'pipe')
  const release = stopWith(signal, () => child.kill('SIGTERM'))
  const [stdout, stderr, exitCode] = await Promise.all([
    outputOf(child.stdout),
    outputOf(child.stderr),
    ended(child),
  ])
  release()
  signal.throwIfAborted()
  if (exitCode === 0) return JSON.parse(stdout)
  throw commandFailed(command.words, stderr)
}

/** A command that goes on beside us until it is stopped. */
export interface RunningCommand {
  /** Settles when the process has ended: with the reason when nobody stopped it. */
  readonly ended: Promise<string | undefined>
  /** Ends it with SIGTERM and waits; SIGKILL when it does not end in time. */
  stop(): Promise<void>
}

/** Starts a command that stays; what it logs goes to `log`, an open file. */
export function startOwnCommand(command: OwnCommand, log: number): RunningCommand {
  const child = start(command, log)
  let stopping = false
  const end = ended(child)
  return {
    ended: end.then((code) => (stopping ? undefined : `it ended with exit code ${code}`)),
    stop: async () => {
      stopping = true
      child.kill('SIGTERM')
      const killer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
      await end
      clearTimeout(killer)
    },
  }
}

function start(command: OwnCommand, output: 'pipe' | number): ReturnType<typeof spawn> {
  const [program, ...leading] = selfProgram()
  // A group of its own: Ctrl-C reaches the demo alone, which then stops everything in order.
  return spawn(program, [...leading, '--config', command.configFile, ...command.words], {
    stdio: ['ignore', output, output],
    env: command.environment,
    detached: true,
  })
}

async function outputOf(stream: Readable | null): Promise<string> {
  return stream === null ? '' : await text(stream)
}

function ended(child: ReturnType<typeof spawn>): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve(code))
  })
}

function stopWith(signal: AbortSignal, stop: () => void): () => void {
  signal.addEventListener('abort', stop, { once: true })
  return () => signal.removeEventListener('abort', stop)
}

function commandFailed(words: readonly string[], stderr: string): BackstayError {
  const name = `backstay ${words.join(' ')}`
  try {
    const { error } = JSON.parse(stderr) as { error: { message: string; hint: string } }
    return new BackstayError('FAILED', `\`${name}\` failed: ${error.message}`, { hint: error.hint })
  } catch {
    return new BackstayError('FAILED', `\`${name}\` failed: ${stderr.trim()}`)
  }
}
