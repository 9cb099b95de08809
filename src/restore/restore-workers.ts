/**
 * The restore workers: a full pool holds its caller back, the first failure ends everything.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { Threads } from '../repository/threads.ts'
import type {
  BatchAnswer,
  FileWorkSettings,
  JobBatch,
  JobResult,
  WorkerFailure,
  WorkerJob,
} from './worker-job.ts'

/** Batches a worker has besides the one it works on, so that it never waits for the main thread. */
const WAITING_BATCHES = 1

/** A fixed number of workers. Dispose to end them; batches under way are rejected then. */
export class FilePool implements AsyncDisposable {
  readonly #threads: Threads<JobBatch, BatchAnswer>
  #room = Promise.withResolvers<void>()
  #number = 0

  constructor(workers: number, workerData: FileWorkSettings) {
    this.#threads = new Threads({
      module: './restore-worker',
      from: import.meta.url,
      count: workers,
      workerData,
      work: 'restore',
      verb: 'write files',
      numberOf: ({ number }) => number,
    })
  }

  /** Resolves when a worker can take another batch. @throws the first failure. */
  async room(): Promise<void> {
    this.#threads.throwIfFailed()
    while (this.#threads.fewestQuestions > WAITING_BATCHES) {
      await this.#room.promise
      this.#threads.throwIfFailed()
    }
  }

  /**
   * Has a batch done; wait for `room` first. One result a job.
   * @throws the first failure of any batch.
   */
  async run(jobs: readonly WorkerJob[]): Promise<readonly JobResult[]> {
    this.#number += 1
    const number = this.#number
    try {
      const answer = await this.#threads.ask(number, { number, jobs })
      if ('results' in answer) return answer.results
      const error = errorOf(answer.failure)
      this.fail(error)
      throw error
    } finally {
      this.#makeRoom()
    }
  }

  /** Rejects everything under way and everything asked from now on. */
  fail(reason: unknown): void {
    this.#threads.fail(reason)
    this.#makeRoom()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#threads[Symbol.asyncDispose]()
    this.#makeRoom()
  }

  /** Whoever waits looks again: there may be room, or none ever. */
  #makeRoom(): void {
    this.#room.resolve()
    this.#room = Promise.withResolvers()
  }
}

function errorOf({ code = 'BUG', message, hint }: WorkerFailure): BackstayError {
  return new BackstayError(code, message, hint === undefined ? {} : { hint })
}
