/**
 * Worker threads that work on slots. The first failure of any of them fails everything that is
 * under way and asked later.
 */
import { Worker } from 'node:worker_threads'
import { BackstayError } from '../errors/backstay-error.ts'
import type { UnitJob, UnitResult, WorkerAnswer } from './unit-job.ts'
import type { UnitWorkSettings } from './unit-work.ts'

// In a checkout the program runs from .ts files, in a package from .js files.
const WORKER_FILE = new URL(
  import.meta.url.endsWith('.ts') ? './unit-worker.ts' : './unit-worker.js',
  import.meta.url,
)

/**
 * A worker keeps nothing from job to job; without a limit its heap takes 50 MB before the first
 * collection.
 */
const LIMITS = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 64 } as const

interface UnitWorker {
  readonly worker: Worker
  /** Jobs posted and not answered. */
  jobs: number
}

/** How many workers are started for what. */
export interface WorkerPoolOptions extends UnitWorkSettings {
  readonly workers: number
}

/** A fixed number of workers. Dispose to end them; jobs under way are rejected then. */
export class WorkerPool implements AsyncDisposable {
  readonly #workers: UnitWorker[] = []
  readonly #pending = new Map<number, PromiseWithResolvers<UnitResult>>()
  #failure: { readonly reason: unknown } | undefined

  constructor(options: WorkerPoolOptions) {
    const { workers, memory, level } = options
    const workerData: UnitWorkSettings = { memory, level }
    for (let n = 0; n < workers; n += 1) {
      this.#start(new Worker(WORKER_FILE, { workerData, resourceLimits: LIMITS }))
    }
  }

  /**
   * Has a job done. The slot belongs to the worker until the promise settles; one job a slot at a
   * time.
   * @throws {BackstayError} BUG when the worker failed; the reason given to `fail`.
   */
  run(job: UnitJob): Promise<UnitResult> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.reason)
    const pending = Promise.withResolvers<UnitResult>()
    this.#pending.set(job.slot, pending)
    const idlest = this.#workers.reduce((best, next) => (next.jobs < best.jobs ? next : best))
    idlest.jobs += 1
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- threads have no origin
    idlest.worker.postMessage(job)
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
    this.fail(new BackstayError('BUG', 'Cannot compress: the workers have ended'))
    await Promise.all(this.#workers.map(({ worker }) => worker.terminate()))
  }

  #start(worker: Worker): void {
    const busy = { worker, jobs: 0 }
    this.#workers.push(busy)
    worker.on('message', (answer: WorkerAnswer) => {
      busy.jobs -= 1
      this.#settle(answer)
    })
    worker.on('error', (error) => this.fail(workerError(error.message, error)))
    worker.on('exit', (code) => this.fail(workerError(`it ended with code ${code}`)))
  }

  #settle(answer: WorkerAnswer): void {
    const pending = this.#pending.get(answer.slot)
    this.#pending.delete(answer.slot)
    if (!('failure' in answer)) pending?.resolve(answer)
    else
      pending?.reject(answer.unreadable ? unreadable(answer.failure) : workerError(answer.failure))
  }
}

function workerError(why: string, cause?: unknown): BackstayError {
  return new BackstayError('BUG', `A compression worker failed: ${why}`, { cause })
}

function unreadable(what: string): BackstayError {
  return new BackstayError('FAILED', `Cannot read ${what}`)
}
