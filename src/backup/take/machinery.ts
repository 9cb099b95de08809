/**
 * The moving parts between stream and packs, put together: slots, workers, packer, window.
 */
import type { Lsn } from '../../postgres/lsn.ts'
import { type PackParts, PackWriter } from '../../repository/pack-writer.ts'
import { allocateSlots, SlotPool } from '../../repository/unit-slots.ts'
import { UnitPacker } from '../../repository/unit-packer.ts'
import { WorkerPool } from '../../repository/worker-pool.ts'
import type { ReceiveOptions } from './receive-options.ts'
import { PageWindow } from './page-window.ts'

/** Slots beyond one a worker: one being filled, some waiting for a worker, some being written. */
const EXTRA_SLOTS = 6

/** The parts of one backup under way; the caller disposes them. */
export interface Machinery extends AsyncDisposable {
  readonly packs: PackWriter
  readonly packer: UnitPacker
  readonly window: PageWindow
}

/** Starts workers; dispose ends them and drops the pack that is not finished. */
export function buildMachinery(
  options: ReceiveOptions,
  limitLsn: () => Lsn,
  parts: PackParts | undefined,
): Machinery {
  const { store, names, identity } = options.cluster
  const slotCount = options.workers + EXTRA_SLOTS
  // The window's is the last.
  const memory = allocateSlots(slotCount + 1)
  const workers = new WorkerPool({ memory, level: options.level, workers: options.workers })
  const packBytes = options.packBytes === undefined ? {} : { packBytes: options.packBytes }
  const cluster = identity.cluster
  const written = parts === undefined ? {} : { parts }
  const packs = new PackWriter({ store, names, cluster, id: options.id, ...packBytes, ...written })
  const slots = new SlotPool(Array.from({ length: slotCount }, (_, slot) => slot))
  return {
    packs,
    packer: new UnitPacker({ memory, slots, workers, packs, limitLsn }),
    window: new PageWindow(memory, slotCount),
    [Symbol.asyncDispose]: async () => {
      await workers[Symbol.asyncDispose]()
      await packs[Symbol.asyncDispose]()
    },
  }
}
