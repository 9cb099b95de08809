/**
 * Worker threads that answer what they are asked. The first thread that fails, fails everything
 * that is under way and asked later.
 */
import { type ResourceLimits, Worker } from 'node:worker_threads'
import { BackstayError } from '../errors/backstay-error.ts'

/** What the threads run, and how they are spoken of. */
export interface ThreadsOptions<Answer> {
  /** The module, without its ending, beside `from`, which is the caller's `import.meta.url`. */
  readonly module: string
  readonly from: string
  readonly count: number
  readonly workerData: unknown
  readonly limits?: ResourceLimits
  /** For messages: `compression`, and `compress`. */
  readonly work: string
  readonly verb: string
  /** The number under which the answered question was asked. */
  readonly numberOf: (answer: Answer) => number
}

interface BusyThread {
  readonly worker: Worker
  /** Questions posted and not answered. */
  questions: number
}

/** A fixed number of threads. Dispose to end them; what is under way is rejected then. */
export class Threads<Question, Answer> implements AsyncDisposable {
  readonly #options: ThreadsOptions<Answer>
  readonly #threads: BusyThread[] = []
  readonly #pending = new Map<number, PromiseWithResolvers<Answer>>()
  #failure: { readonly reason: unknown } | undefined

  constructor(options: ThreadsOptions<Answer>) {
    this.#options = options
    for (let n = 0; n < options.count; n += 1) this.#start()
  }

  /** How many questions the idlest thread has. */
  get fewestQuestions(): number {
    return this.#idlest().questions
  }

  /** @throws the reason given to `fail`, if it was. */
  throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.reason
  }

  /**
   * Asks the idlest thread. No two that are under way have the same `number`.
   * @throws {BackstayError} BUG when a thread failed; the reason given to `fail`.
   */
  ask(number: number, question: Question): Promise<Answer> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.reason)
    const pending = Promise.withResolvers<Answer>()
    this.#pending.set(number, pending)
    const idlest = this.#idlest()
    idlest.questions += 1
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- threads have no origin
    idlest.worker.postMessage(question)
    return pending.promise
  }

  /** Rejects everything under way and everything asked from now on. */
  fail(reason: unknown): void {
    this.#failure ??= { reason }
    const pending = [...this.#pending.values()]
    this.#pending.clear()
    for (const { reject } of pending) reject(reason)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { verb } = this.#options
    this.fail(new BackstayError('BUG', `Cannot ${verb}: the workers have ended`))
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()))
  }

  /** What is thrown for a thread that failed. */
  bug(why: string, cause?: unknown): BackstayError {
    return new BackstayError('BUG', `A ${this.#options.work} worker failed: ${why}`, { cause })
  }

  #idlest(): BusyThread {
    return this.#threads.reduce((best, next) => (next.questions < best.questions ? next : best))
  }

  #start(): void {
    const { module, from, workerData, limits: resourceLimits, numberOf } = this.#options
    // In a checkout the program runs from .ts files, in a package from .js files.
    const file = new URL(`${module}.${from.endsWith('.ts') ? 'ts' : 'js'}`, from)
    const options = resourceLimits === undefined ? {} : { resourceLimits }
    const worker = new Worker(file, { workerData, ...options })
    const thread = { worker, questions: 0 }
    this.#threads.push(thread)
    worker.on('message', (answer: Answer) => {
      thread.questions -= 1
      const pending = this.#pending.get(numberOf(answer))
      this.#pending.delete(numberOf(answer))
      pending?.resolve(answer)
    })
    worker.on('error', (error) => this.fail(this.bug(error.message, error)))
    worker.on('exit', (code) => this.fail(this.bug(`it ended with code ${code}`)))
  }
}
