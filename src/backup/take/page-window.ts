/**
 * The stretch of a relation file that is judged before it is known which of its pages are stored.
 * The calling thread judges it itself: checksums, CRC and LSNs of one window take less time than
 * asking a worker and being answered, and the workers are left to compress.
 */
import type { PageMemory } from '../../postgres/page-checker.ts'
import { slotInput } from '../../repository/unit-slots.ts'
import type { UnitJob, UnitResult } from '../../repository/unit-job.ts'
import { unitWork } from '../../repository/unit-work.ts'
import { DEFAULT_LEVEL } from '../../repository/codec.ts'

/** Room for one unit's bytes; used by one file after the other. */
export class PageWindow {
  /** To be filled from its beginning. */
  readonly bytes: Buffer
  readonly #slot: number
  readonly #work: (job: UnitJob) => UnitResult

  /** `slot`: one of `memory` that nobody else uses. */
  constructor(memory: PageMemory, slot: number) {
    this.bytes = slotInput(memory, slot)
    this.#slot = slot
    this.#work = unitWork({ memory, level: DEFAULT_LEVEL })
  }

  /** Judges what it holds. */
  examine(job: Omit<UnitJob, 'slot' | 'compress'>): UnitResult {
    return this.#work({ ...job, slot: this.#slot, compress: false })
  }
}
