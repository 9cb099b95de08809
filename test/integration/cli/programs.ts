/**
 * Starting the command line as a real process: through bin/backstay.js, by which Node.js, and with which signals.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

export const ROOT = join(import.meta.dirname, '../../..')
export const LAUNCHER = join(ROOT, 'bin/backstay.js')
const TIMEOUT_MS = 30_000

/** How a process ended and what it said. */
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** A process that runs. */
export interface Running {
  readonly child: ChildProcess
  /** Resolves when stdout has held `text`. */
  said(text: string): Promise<void>
  readonly ended: Promise<Ended>
}

/** What to start and where. */
export interface StartOptions {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  /** Written to standard input, which is closed after it; without it there is none. */
  readonly input?: string
}

/** Starts a program; it is killed when it runs longer than half a minute. */
export function start(words: readonly string[], options: StartOptions = {}): Running {
  const [file = '', ...rest] = words
  const { input, ...where } = options
  const limit = { timeout: TIMEOUT_MS, killSignal: 'SIGKILL' } as const
  const child = spawn(file, rest, { stdio: 'pipe', ...limit, ...where })
  child.stdin.end(input)
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
  const said = (text: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => stdout.includes(text) && resolve()
      child.stdout.on('data', look)
      child.on('close', () =>
        reject(new Error(`ended before it said "${text}": ${stdout}${stderr}`)),
      )
      look()
    })
  return { child, said, ended }
}

/** Runs a command line of Backstay to its end. */
export function backstay(words: readonly string[], options?: StartOptions): Promise<Ended> {
  return start([process.execPath, LAUNCHER, ...words], options).ended
}

/** A Node.js of this machine that is older than Backstay needs, or undefined. */
export function olderNode(): string | undefined {
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((directory) => join(directory, 'node'))
    .filter((path) => existsSync(path))
    .find((path) => {
      const { stdout } = spawnSync(path, ['--version'], { encoding: 'utf8' })
      const major = Number(/^v(\d+)/.exec(stdout)?.[1])
      return major >= 18 && major < 24
    })
}
