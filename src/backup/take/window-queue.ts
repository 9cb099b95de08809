/**
 * Stretches of relation files that workers judge before it is known which of their pages are stored.
 * Windows are examined in parallel and settled in order, always within a call of the stream, so that the unit packer
 * is used by one at a time.
 */
import type { PageMemory } from '../../postgres/page-checker.ts'
import { slotInput } from '../../repository/slots.ts'
import type { UnitJob, UnitResult } from '../../repository/unit-job.ts'
import { unitWork } from '../../repository/unit-work.ts'
import type { WorkerPool } from '../../repository/worker-pool.ts'
import { DEFAULT_LEVEL } from '../../repository/zstd.ts'

/** A window up to this size is examined at once: asking a worker takes longer. */
const SMALL_BYTES = 64 * 1024

/** A stretch of up to one unit in a slot. */
export interface Window {
  readonly slot: number
  readonly bytes: Buffer
}

/** Stores what must be stored of an examined window. */
export type SettleWindow = (window: Window, result: UnitResult) => void | Promise<void>

interface UnderWay {
  readonly window: Window
  readonly result: Promise<UnitResult>
  readonly settle: SettleWindow
}

/** Windows in flight, oldest first. One call at a time. */
export class WindowQueue {
  readonly #memory: PageMemory
  readonly #workers: WorkerPool
  readonly #work: (job: UnitJob) => UnitResult
  readonly #free: number[]
  readonly #underWay: UnderWay[] = []

  /** `slots`: slots of `memory` that nobody else uses. */
  constructor(memory: PageMemory, workers: WorkerPool, slots: readonly number[]) {
    this.#memory = memory
    this.#work = unitWork({ memory, level: DEFAULT_LEVEL })
    this.#workers = workers
    this.#free = [...slots]
  }

  /** An empty window; settles the oldest one first when all are under way. */
  async take(): Promise<Window> {
    if (this.#free.length === 0) await this.#settleOldest()
    const slot = this.#free.pop()
    if (slot === undefined) throw new RangeError('more windows were taken than there are')
    return { slot, bytes: slotInput(this.#memory, slot) }
  }

  /** Sends a filled window to a worker; `settle` is called with the result by a later call of this queue. */
  submit(window: Window, job: Omit<UnitJob, 'slot' | 'compress'>, settle: SettleWindow): void {
    const whole = { ...job, slot: window.slot, compress: false }
    const isSmall = job.rawBytes <= SMALL_BYTES
    const result = isSmall ? Promise.resolve(this.#work(whole)) : this.#workers.run(whole)
    // Rejections are met when the window's turn comes.
    result.catch(() => undefined)
    this.#underWay.push({ window, result, settle })
  }

  /** Settles everything under way. */
  async drain(): Promise<void> {
    while (this.#underWay.length > 0) await this.#settleOldest()
  }

  async #settleOldest(): Promise<void> {
    const oldest = this.#underWay.shift()
    if (oldest === undefined) return
    const settled = oldest.settle(oldest.window, await oldest.result)
    if (settled !== undefined) await settled
    this.#free.push(oldest.window.slot)
  }
}
