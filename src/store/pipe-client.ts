/**
 * Asks a process that is reached through its standard input and output, over ssh for example.
 * Started with the first request; ends with its user: whoever reads the other end of the pipe sees
 * that it is closed.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { BackstayError } from '../errors/backstay-error.ts'
import { type PipeAnswer, readAnswers, requestFrame } from './pipe-frames.ts'

/** Standard error that is kept for the message. */
const SAID_BYTES = 2000
/** Longest wait for an answer: a plan may read much WAL. */
const ANSWER_TIMEOUT_MS = 30 * 60_000

/**
 * Whoever serves takes a client that says nothing for minutes for gone; a restore's first
 * connection has nothing to ask for hours.
 */
const PING_MS = 60_000
/** Requests are numbered from 1: nobody waits for this one's answer. */
const PING_ID = 0

/** What differs between those who ask. */
export interface PipeClientOptions {
  /** Longest wait for an answer; half an hour when left out. */
  readonly answerTimeoutMs?: number
  /** What everything that fails at the other end, or on the way, is told as. */
  readonly failure?: (why: string) => BackstayError
}

type GoodAnswer = Exclude<PipeAnswer, { readonly failure: unknown }>

/** One process that answers. Calls may overlap. */
export class PipeClient implements AsyncDisposable {
  /** Program and words. */
  readonly command: readonly string[]
  readonly #options: PipeClientOptions
  readonly #pending = new Map<number, PromiseWithResolvers<PipeAnswer>>()
  #child: ChildProcessWithoutNullStreams | undefined
  #failure: BackstayError | undefined
  #pings: NodeJS.Timeout | undefined
  /** Pings that are not answered. */
  #pinged = 0
  #said = ''
  #number = 0

  /** @param command program and words, no shell */
  constructor(command: readonly string[], options: PipeClientOptions = {}) {
    this.command = command
    this.#options = options
  }

  /**
   * The value that answers.
   * @throws what the other side throws; HOST_UNREACHABLE when it is gone.
   */
  async call(call: string, given: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    const answer = await this.#ask(call, given)
    return 'value' in answer ? answer.value : undefined
  }

  /** The bytes that answer; undefined when the answer is that there are none. */
  async bytes(call: string, given: Readonly<Record<string, unknown>>): Promise<Buffer | undefined> {
    const answer = await this.#ask(call, given)
    return 'bytes' in answer ? answer.bytes : undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#child
    this.#fail('it was closed')
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('close', resolve))
    setHeld(child, true)
    child.stdin.destroy()
    child.kill('SIGTERM')
    await ended
  }

  async #ask(call: string, given: Readonly<Record<string, unknown>>): Promise<GoodAnswer> {
    if (this.#failure !== undefined) throw this.#failure
    const child = (this.#child ??= this.#start())
    this.#number += 1
    const id = this.#number
    const pending = Promise.withResolvers<PipeAnswer>()
    this.#pending.set(id, pending)
    if (this.#pending.size === 1) setHeld(child, true)
    const { answerTimeoutMs = ANSWER_TIMEOUT_MS, failure } = this.#options
    const timer = setTimeout(() => this.#fail('no answer came'), answerTimeoutMs)
    try {
      child.stdin.write(requestFrame({ id, call, with: given }))
      const answer = await pending.promise
      if ('failure' in answer) throw failure?.(answer.failure.message) ?? answer.failure
      return answer
    } finally {
      clearTimeout(timer)
      this.#pending.delete(id)
      if (this.#pending.size === 0) setHeld(child, false)
    }
  }

  #start(): ChildProcessWithoutNullStreams {
    const [program = '', ...words] = this.command
    const child = spawn(program, words, { stdio: 'pipe', cwd: '/' })
    const ping = requestFrame({ id: PING_ID, call: 'ping', with: {} })
    this.#pings = setInterval(() => {
      this.#pinged += 1
      child.stdin.write(ping)
    }, PING_MS).unref()
    child.on('error', (error) => this.#fail(error.message))
    child.stdin.on('error', () => {})
    child.stderr.on('data', (chunk: Buffer) => {
      this.#said = `${this.#said}${chunk.toString()}`.slice(-SAID_BYTES)
    })
    // After `close` standard error is complete.
    child.once('close', (code) => this.#fail(this.#said.trim() || `it ended with code ${code}`))
    this.#listen(child).catch((error: unknown) => {
      if (child.exitCode === null) this.#fail(error instanceof Error ? error.message : 'it failed')
    })
    return child
  }

  #isPing({ id }: PipeAnswer): boolean {
    if (id !== PING_ID || this.#pinged === 0) return false
    this.#pinged -= 1
    return true
  }

  async #listen(child: ChildProcessWithoutNullStreams): Promise<void> {
    for await (const answer of readAnswers(child.stdout)) {
      const pending = this.#pending.get(answer.id)
      if (pending === undefined && !this.#isPing(answer)) {
        throw new BackstayError('FAILED', 'an answer came to nothing that was asked')
      }
      // It may come again, and again.
      this.#pending.delete(answer.id)
      pending?.resolve(answer)
    }
  }

  #fail(why: string): void {
    clearInterval(this.#pings)
    this.#failure ??=
      this.#options.failure?.(why) ??
      new BackstayError('HOST_UNREACHABLE', `The repository cannot be read: ${why}`)
    for (const { reject } of this.#pending.values()) reject(this.#failure)
    this.#pending.clear()
  }
}

/** An idle process must not keep its user alive. */
function setHeld(child: ChildProcessWithoutNullStreams, isHeld: boolean): void {
  const word = isHeld ? 'ref' : 'unref'
  child[word]()
  for (const stream of [child.stdin, child.stdout, child.stderr]) {
    const handle = stream as unknown as { ref?: () => void; unref?: () => void }
    handle[word]?.()
  }
}
