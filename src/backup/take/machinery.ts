/**
 * The moving parts between stream and packs, put together: slots, workers, packer, windows.
 */
import type { Lsn } from '../../postgres/lsn.ts'
import { PackWriter } from '../../repository/pack-writer.ts'
import { allocateSlots, SlotPool } from '../../repository/slots.ts'
import { UnitPacker } from '../../repository/unit-packer.ts'
import { WorkerPool } from '../../repository/worker-pool.ts'
import type { ReceiveOptions } from './receive-options.ts'
import { WindowQueue } from './window-queue.ts'

/** Slots beyond one a worker: one being filled, some waiting for a worker, some being written. */
const EXTRA_SLOTS = 6

/** What `buildMachinery` makes. */
export interface Machinery extends AsyncDisposable {
  readonly packs: PackWriter
  readonly packer: UnitPacker
  readonly windows: WindowQueue
}

/** Starts workers; dispose ends them and drops the pack that is not finished. */
export function buildMachinery(options: ReceiveOptions, limitLsn: () => Lsn): Machinery {
  const { store, names, identity } = options.cluster
  const slotCount = options.workers + EXTRA_SLOTS
  const windowCount = options.method === 'page-lsn' ? slotCount : 0
  const memory = allocateSlots(windowCount + slotCount)
  const workers = new WorkerPool({ memory, level: options.level, workers: options.workers })
  const packBytes = options.packBytes === undefined ? {} : { packBytes: options.packBytes }
  const cluster = identity.cluster
  const packs = new PackWriter({ store, names, cluster, id: options.id, ...packBytes })
  const slots = new SlotPool(numbers(windowCount, windowCount + slotCount))
  return {
    packs,
    packer: new UnitPacker({ memory, slots, workers, packs, limitLsn }),
    windows: new WindowQueue(memory, workers, numbers(0, windowCount)),
    [Symbol.asyncDispose]: async () => {
      await workers[Symbol.asyncDispose]()
      await packs[Symbol.asyncDispose]()
    },
  }
}

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, n) => from + n)
}
