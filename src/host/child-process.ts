/**
 * One child process from start to end: its own process group, bounded output, bounded time. Knows
 * nothing of users or hosts.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import type { Writable } from 'node:stream'
import { scriptInOctal, shellCommand } from './shell-quote.ts'
import { TailBuffer } from './tail-buffer.ts'

const OUTPUT_LIMIT_BYTES = 1024 * 1024
/** Between TERM and KILL, and after KILL until the process is given up (it hangs in the kernel). */
const KILL_AFTER_MS = 5000
/**
 * How long nothing may come after the end: a daemon that the command left behind can hold the pipe
 * for ever.
 */
const QUIET_MS = 250
/** Longer ones fire at once in Node. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/**
 * What a child reads: bytes, or whatever the function writes to its standard input, which the
 * function ends.
 */
export type ChildInput = string | Uint8Array | ((stdin: Writable) => void)

/** How the child is run. The environment is exactly what is given. */
export interface ChildOptions {
  readonly directory: string
  readonly environment: Readonly<Record<string, string>>
  readonly input?: ChildInput | undefined
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
  /** How much of standard output is kept (its end). Default 1 MiB. */
  readonly outputLimitBytes?: number
  /**
   * How long the end of output is waited for after that of the command, while nothing comes.
   * Default 250 ms: what it left behind can keep it.
   */
  readonly quietMs?: number
  /**
   * Whether this is all that standard error has to say: then only the end of standard output is
   * waited for.
   */
  readonly isAllSaid?: (stderr: Buffer) => boolean
  /** Sees standard output as it comes. */
  readonly onStdout?: ((chunk: Buffer) => void) | undefined
  /** Sees standard error as it comes. */
  readonly onStderr?: (chunk: Buffer) => void
}

/** How it ended: `timedOut` when it had to be ended because its time was over. */
export interface ChildResult {
  readonly exitCode: number
  readonly stdout: Buffer
  readonly stderr: Buffer
  readonly timedOut: boolean
  /**
   * Whether all output came to its end, or said that it is all; otherwise somebody could still
   * write to it.
   */
  readonly isWhole: boolean
}

/**
 * Runs `command` and resolves when it ended, by itself or because its time was over.
 * @throws Node's error when it cannot be started, and the signal's reason when aborted.
 */
export async function runChild(
  command: readonly string[],
  options: ChildOptions,
): Promise<ChildResult> {
  const { signal } = options
  signal?.throwIfAborted()
  const [program = '', ...args] = asText(command)
  const child = spawn(program, args, {
    cwd: options.directory,
    env: options.environment,
    // A group of its own, so that ending it ends its children too, and a Ctrl-C on the terminal is
    // ours to handle.
    detached: true,
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  })
  const stdout = collect(child.stdout, options.outputLimitBytes ?? OUTPUT_LIMIT_BYTES)
  const stderr = collect(child.stderr, OUTPUT_LIMIT_BYTES)
  if (options.onStdout !== undefined) child.stdout?.on('data', options.onStdout)
  if (options.onStderr !== undefined) child.stderr?.on('data', options.onStderr)
  feed(child, options.input)
  const isAllSaid = (): boolean =>
    child.stderr?.readableEnded === true || options.isAllSaid?.(stderr.bytes()) === true
  const isWhole = (): boolean => child.stdout?.readableEnded === true && isAllSaid()
  const { exitCode, timedOut } = await ended(child, { ...options, isWhole })
  signal?.throwIfAborted()
  return { exitCode, timedOut, isWhole: isWhole(), stdout: stdout.bytes(), stderr: stderr.bytes() }
}

/**
 * Node passes arguments as UTF-8 text only; a name that is none goes through a shell that makes its
 * bytes.
 */
function asText(command: readonly string[]): readonly string[] {
  if (command.every((word) => word.isWellFormed())) return command
  return ['sh', '-c', scriptInOctal(`exec ${shellCommand(command)}`)]
}

function collect(stream: NodeJS.ReadableStream | null, limitBytes: number): TailBuffer {
  const tail = new TailBuffer(limitBytes)
  stream?.on('data', (chunk: Buffer) => tail.push(chunk))
  return tail
}

function feed(child: ChildProcess, input: ChildInput | undefined): void {
  // A command that ends without reading its input is judged by its exit code.
  child.stdin?.on('error', () => undefined)
  if (child.stdin === null || input === undefined) return
  if (typeof input === 'function') input(child.stdin)
  else child.stdin.end(input)
}

interface Ended {
  readonly exitCode: number
  readonly timedOut: boolean
}

function ended(
  child: ChildProcess,
  options: ChildOptions & { readonly isWhole: () => boolean },
): Promise<Ended> {
  const { promise, resolve, reject } = Promise.withResolvers<Ended>()
  const timers = new Set<NodeJS.Timeout>()
  const later = (ms: number, act: () => void): void => void timers.add(setTimeout(act, ms))
  let ending = false
  let timedOut = false
  const end = (): void => {
    ending = true
    signalGroup(child, 'SIGTERM')
    later(KILL_AFTER_MS, () => signalGroup(child, 'SIGKILL'))
    later(2 * KILL_AFTER_MS, () => abandon(child, () => resolve({ exitCode: 137, timedOut })))
  }
  later(Math.min(options.timeoutMs, LONGEST_TIMER_MS), () => {
    timedOut = true
    end()
  })
  options.signal?.addEventListener('abort', end)
  child.once('error', reject)
  child.once('exit', () => {
    // Its children had the same TERM; who ignores that while the command itself has gone gets no
    // more time.
    if (ending) signalGroup(child, 'SIGKILL')
    closeWhenWhole(child, options.isWhole)
    closeWhenQuiet(child, later, options.quietMs ?? QUIET_MS)
  })
  child.once('close', (code, signal) => {
    resolve({ exitCode: code ?? signalExitCode(signal), timedOut })
  })
  return promise.finally(() => {
    for (const timer of timers) clearTimeout(timer)
    options.signal?.removeEventListener('abort', end)
  })
}

function abandon(child: ChildProcess, resolve: () => void): void {
  closePipes(child)
  child.unref()
  resolve()
}

/** Ends the waiting for what nobody needs. */
function closeWhenWhole(child: ChildProcess, isWhole: () => boolean): void {
  const look = (): void => {
    if (isWhole()) closePipes(child)
  }
  child.stdout?.once('end', look)
  child.stderr?.on('data', look)
  look()
}

/**
 * Ends the waiting for output once none came for that long. Timers come before what can be read: a
 * process that got no time itself looks once more before it says that there was nothing.
 */
function closeWhenQuiet(
  child: ChildProcess,
  later: (ms: number, act: () => void) => void,
  quietMs: number,
): void {
  let hasCome = false
  const note = (): void => void (hasCome = true)
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', note)
  const look = (): void => {
    if (!hasCome) return closePipes(child)
    hasCome = false
    later(quietMs, () => setImmediate(look))
  }
  later(quietMs, () => setImmediate(look))
}

function closePipes(child: ChildProcess): void {
  child.stdout?.destroy()
  child.stderr?.destroy()
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    // The whole group has ended meanwhile.
  }
}

function signalExitCode(signal: NodeJS.Signals | null): number {
  return 128 + (signal === null ? 0 : (constants.signals[signal] ?? 0))
}
