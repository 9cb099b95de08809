/**
 * Reads one hostile input after the other in a thread of its own, so that one that never ends, or takes all memory, can be stopped. Says in
 * shared memory which one it is at.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { isBackstayError } from '../../src/errors/backstay-error.ts'
import { Random } from '../torture/random.ts'
import { bytesTargets } from './bytes.ts'
import { mutate } from './mutate.ts'
import { TEXTS } from './texts.ts'

/** What the thread is told. */
export interface FuzzOrder {
  readonly seed: number
  readonly untilMs: number
  /** The first input; the only one when `only`. */
  readonly first: number
  readonly only: boolean
  /** Number of the input it is at, and when it began it (milliseconds since 1970, halved into seconds and rest). */
  readonly at: SharedArrayBuffer
}

/** What it says at its end. */
export interface FuzzAnswer {
  readonly inputs: number
  readonly targets: readonly string[]
  readonly failure?: { readonly input: number; readonly target: string; readonly text: string }
}

const order = workerData as FuzzOrder
const at = new Int32Array(order.at)
const targets = [...TEXTS, ...(await bytesTargets())]

async function run(): Promise<FuzzAnswer> {
  const names = targets.map(({ name }) => name)
  let input = order.first
  for (; Date.now() < order.untilMs; input += 1) {
    const target = targets[input % targets.length] as (typeof targets)[number]
    const random = new Random(order.seed + input * 7919)
    const bytes = mutate(random, target.seeds, target.words)
    Atomics.store(at, 0, input)
    Atomics.add(at, 1, 1)
    try {
      await target.read(bytes)
    } catch (error) {
      if (!isBackstayError(error) || error.code === 'BUG') {
        const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
        return { inputs: input, targets: names, failure: { input, target: target.name, text } }
      }
    }
    if (order.only) break
  }
  return { inputs: input - order.first, targets: names }
}

const answer = await run()
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- threads have no origin
parentPort?.postMessage(answer)
