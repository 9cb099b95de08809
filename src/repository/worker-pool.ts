/**
 * Worker threads that work on slots.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { Threads } from './threads.ts'
import type { UnitJob, UnitResult, WorkerAnswer } from './unit-job.ts'
import type { UnitWorkSettings } from './unit-work.ts'

/**
 * A worker keeps nothing from job to job; without a limit its heap takes 50 MB before the first
 * collection.
 */
const LIMITS = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 64 } as const

/** How many workers are started for what. */
export interface WorkerPoolOptions extends UnitWorkSettings {
  readonly workers: number
}

/** A fixed number of workers. Dispose to end them; jobs under way are rejected then. */
export class WorkerPool implements AsyncDisposable {
  readonly #threads: Threads<UnitJob, WorkerAnswer>

  constructor({ workers, memory, level }: WorkerPoolOptions) {
    const workerData: UnitWorkSettings = { memory, level }
    this.#threads = new Threads({
      module: './unit-worker',
      from: import.meta.url,
      count: workers,
      workerData,
      limits: LIMITS,
      work: 'compression',
      verb: 'compress',
      numberOf: ({ slot }) => slot,
    })
  }

  /**
   * Has a job done. The slot belongs to the worker until the promise settles; one job a slot at a
   * time.
   * @throws {BackstayError} BUG when the worker failed, FAILED when a file could not be read; the
   * reason given to `fail`.
   */
  async run(job: UnitJob): Promise<UnitResult> {
    const answer = await this.#threads.ask(job.slot, job)
    if (!('failure' in answer)) return answer
    if (answer.unreadable) throw new BackstayError('FAILED', `Cannot read ${answer.failure}`)
    throw this.#threads.bug(answer.failure)
  }

  /** Rejects everything under way and everything asked from now on. */
  fail(reason: unknown): void {
    this.#threads.fail(reason)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#threads[Symbol.asyncDispose]()
  }
}
