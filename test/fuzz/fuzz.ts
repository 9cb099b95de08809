/**
 * Hostile inputs for everything that reads what others wrote, with limits of time and memory. The same seed gives the same inputs.
 */
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { FuzzAnswer, FuzzOrder } from './fuzz-worker.ts'

/** The longest one input of at most 160 kB may be read: a scanner that is not linear takes minutes. */
const INPUT_TIMEOUT_MS = 20_000
/** A thread is ended when what is not collected yet reaches this: a busy machine collects late. */
const MEMORY_MB = 1024
const LOOK_EVERY_MS = 250

/** How to fuzz. */
export interface FuzzOptions {
  readonly seconds: number
  readonly seed: number
  /** Only the input of this number. */
  readonly input?: number
}

/** How it went. */
export interface FuzzOutcome {
  readonly inputs: number
  readonly targets: readonly string[]
  /** What was wrong, with the words that repeat it; undefined when nothing was. */
  readonly wrong: string | undefined
}

/** Fuzzes for that long, or until something is wrong. */
export async function fuzz({ seconds, seed, input }: FuzzOptions): Promise<FuzzOutcome> {
  const shared = new SharedArrayBuffer(8)
  const at = new Int32Array(shared)
  const order: FuzzOrder = {
    seed,
    untilMs: Date.now() + seconds * 1000,
    first: input ?? 0,
    only: input !== undefined,
    at: shared,
  }
  const worker = new Worker(join(import.meta.dirname, 'fuzz-worker.ts'), {
    workerData: order,
    resourceLimits: { maxOldGenerationSizeMb: MEMORY_MB },
  })
  const again = (number: number): string => `npm run fuzz -- --seed ${seed} --input ${number}`
  const ended = Promise.withResolvers<FuzzOutcome>()
  worker.once('message', ({ inputs, targets, failure }: FuzzAnswer) => {
    const wrong =
      failure === undefined
        ? undefined
        : `${failure.target} (${again(failure.input)}): ${failure.text}`
    ended.resolve({ inputs, targets, wrong })
  })
  const lost = (why: string): void => {
    const number = Atomics.load(at, 0)
    ended.resolve({ inputs: number, targets: [], wrong: `${why}: ${again(number)}` })
  }
  worker.once('error', (error) => lost(`the thread failed (${error.message})`))
  worker.once('exit', (code) => lost(`the thread ended with ${code}`))
  let seen = { turn: -1, atMs: performance.now() }
  const watch = setInterval(() => {
    const turn = Atomics.load(at, 1)
    if (turn !== seen.turn || turn === 0) seen = { turn, atMs: performance.now() }
    else if (performance.now() - seen.atMs > INPUT_TIMEOUT_MS) {
      lost(`an input was read for more than ${INPUT_TIMEOUT_MS} ms`)
    }
  }, LOOK_EVERY_MS)
  try {
    return await ended.promise
  } finally {
    clearInterval(watch)
    await worker.terminate()
  }
}
