/**
 * The restore workers: batches go to the idlest, a full pool holds its caller back, the first
 * failure ends everything.
 */
import { Worker } from 'node:worker_threads'
import { BackstayError } from '../errors/backstay-error.ts'
import type { BatchAnswer, FileWorkSettings, JobResult, WorkerJob } from './worker-job.ts'

// In a checkout the program runs from .ts files, in a package from .js files.
const WORKER_FILE = new URL(
  import.meta.url.endsWith('.ts') ? './restore-worker.ts' : './restore-worker.js',
  import.meta.url,
)

/** Batches a worker has besides the one it works on, so that it never waits for the main thread. */
const WAITING_BATCHES = 1

interface FileWorker {
  readonly worker: Worker
  batches: number
}

/** A fixed number of workers. Dispose to end them; batches under way are rejected then. */
export class FilePool implements AsyncDisposable {
  readonly #workers: FileWorker[] = []
  readonly #pending = new Map<number, PromiseWithResolvers<readonly JobResult[]>>()
  #room = Promise.withResolvers<void>()
  #number = 0
  #failure: { readonly reason: unknown } | undefined

  constructor(workers: number, settings: FileWorkSettings) {
    // Nobody may be waiting when it fails.
    this.#room.promise.catch(() => {})
    for (let n = 0; n < workers; n += 1)
      this.#start(new Worker(WORKER_FILE, { workerData: settings }))
  }

  /** Resolves when a worker can take another batch. @throws the first failure. */
  async room(): Promise<void> {
    while (this.#failure === undefined && this.#idlest().batches > WAITING_BATCHES) {
      await this.#room.promise
    }
    if (this.#failure !== undefined) throw this.#failure.reason
  }

  /**
   * Has a batch done; wait for `room` first. One result a job.
   * @throws the first failure of any batch.
   */
  run(jobs: readonly WorkerJob[]): Promise<readonly JobResult[]> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.reason)
    const pending = Promise.withResolvers<readonly JobResult[]>()
    this.#number += 1
    this.#pending.set(this.#number, pending)
    const idlest = this.#idlest()
    idlest.batches += 1
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- threads have no origin
    idlest.worker.postMessage({ number: this.#number, jobs })
    return pending.promise
  }

  /** Rejects everything under way and everything asked from now on. */
  fail(reason: unknown): void {
    this.#failure ??= { reason }
    const pending = [...this.#pending.values()]
    this.#pending.clear()
    for (const { reject } of pending) reject(reason)
    this.#room.reject(reason)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.fail(new BackstayError('BUG', 'Cannot write files: the workers have ended'))
    await Promise.all(this.#workers.map(({ worker }) => worker.terminate()))
  }

  #idlest(): FileWorker {
    return this.#workers.reduce((best, next) => (next.batches < best.batches ? next : best))
  }

  #start(worker: Worker): void {
    const busy = { worker, batches: 0 }
    this.#workers.push(busy)
    worker.on('message', (answer: BatchAnswer) => {
      busy.batches -= 1
      this.#settle(answer)
    })
    worker.on('error', (error) => this.fail(workerBug(error.message, error)))
    worker.on('exit', (code) => this.fail(workerBug(`it ended with code ${code}`)))
  }

  #settle(answer: BatchAnswer): void {
    if ('failure' in answer) {
      const { code, message, hint } = answer.failure
      this.fail(new BackstayError(code ?? 'BUG', message, hint === undefined ? {} : { hint }))
      return
    }
    const pending = this.#pending.get(answer.number)
    this.#pending.delete(answer.number)
    pending?.resolve(answer.results)
    this.#room.resolve()
    this.#room = Promise.withResolvers<void>()
    this.#room.promise.catch(() => {})
  }
}

function workerBug(why: string, cause?: unknown): BackstayError {
  return new BackstayError('BUG', `A restore worker failed: ${why}`, { cause })
}
