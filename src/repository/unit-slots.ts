/**
 * Buffers shared by the main thread and the workers: as many as there are slots, and no more memory
 * than that. A slot is an input area of one unit and an output area that holds the unit however
 * badly it compresses.
 */
import { allocatePageMemory, type PageMemory } from '../postgres/page-checker.ts'
import { UNIT_BYTES } from './format.ts'
import { frameBound } from './codec.ts'

/** Bytes of a slot's output area. */
const OUTPUT_BYTES = Math.ceil(frameBound(UNIT_BYTES) / 65_536) * 65_536

/** Bytes from slot to slot. */
const SLOT_BYTES = UNIT_BYTES + OUTPUT_BYTES

/** Memory for `count` slots, made once and shared with workers by posting it. */
export function allocateSlots(count: number): PageMemory {
  return allocatePageMemory(count * SLOT_BYTES)
}

/** Position of a slot's input area in the memory. */
export function inputOffset(slot: number): number {
  return slot * SLOT_BYTES
}

/** A slot's input area. */
export function slotInput(memory: PageMemory, slot: number): Buffer {
  return Buffer.from(memory.buffer, inputOffset(slot), UNIT_BYTES)
}

/** A slot's output area. */
export function slotOutput(memory: PageMemory, slot: number): Buffer {
  return Buffer.from(memory.buffer, inputOffset(slot) + UNIT_BYTES, OUTPUT_BYTES)
}

/** Hands out slot numbers; who asks when none is free waits in line. */
export class SlotPool {
  readonly #free: number[]
  readonly #waiting: PromiseWithResolvers<number>[] = []
  #failure: { readonly reason: unknown } | undefined

  /** `slots`: the numbers it hands out. */
  constructor(slots: Iterable<number>) {
    this.#free = [...slots]
  }

  /** A free slot at once, or undefined. */
  tryTake(): number | undefined {
    return this.#failure === undefined ? this.#free.pop() : undefined
  }

  /** A free slot, when there is one. @throws the reason given to `fail`. */
  take(): Promise<number> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.reason)
    const slot = this.#free.pop()
    if (slot !== undefined) return Promise.resolve(slot)
    const waiter = Promise.withResolvers<number>()
    this.#waiting.push(waiter)
    return waiter.promise
  }

  give(slot: number): void {
    const waiter = this.#waiting.shift()
    if (waiter === undefined) this.#free.push(slot)
    else waiter.resolve(slot)
  }

  /** Ends all waiting: slots will not come back. */
  fail(reason: unknown): void {
    this.#failure ??= { reason }
    for (const waiter of this.#waiting.splice(0)) waiter.reject(reason)
  }
}
