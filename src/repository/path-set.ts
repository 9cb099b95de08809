/**
 * Remembers the paths of one manifest, millions of them, to notice one that comes twice: 64 bits of
 * hash each.
 */
import { crc32, crc32c } from '@node-rs/crc32'

const FIRST_SLOTS = 1024
/** Of the slots, at most so many are used. */
const FILL_MAX = 0.6

/** Two different paths are taken for one once in 2^64 pairs. */
export class PathSet {
  #slots = new Uint32Array(FIRST_SLOTS * 2)
  #count = 0

  /** False when the path is there already. */
  add(path: Buffer): boolean {
    if (this.#count >= (this.#slots.length / 2) * FILL_MAX) this.#grow()
    const isNew = put(this.#slots, crc32c(path), crc32(path))
    if (isNew) this.#count += 1
    return isNew
  }

  #grow(): void {
    const grown = new Uint32Array(this.#slots.length * 2)
    for (let at = 0; at < this.#slots.length; at += 2) {
      const [high, low] = [this.#slots[at] ?? 0, this.#slots[at + 1] ?? 0]
      if (high !== 0 || low !== 0) put(grown, high, low)
    }
    this.#slots = grown
  }
}

/** Both halves 0 mean a free slot; a path with such a hash is moved to another. */
function put(slots: Uint32Array, high: number, low: number): boolean {
  const count = slots.length / 2
  const second = high === 0 && low === 0 ? 1 : low
  let slot = (Math.imul(high ^ second, 0x9e37_79b1) >>> 0) % count
  for (; ; slot = (slot + 1) % count) {
    const [a, b] = [slots[slot * 2] ?? 0, slots[slot * 2 + 1] ?? 0]
    if (a === high && b === second) return false
    if (a !== 0 || b !== 0) continue
    slots[slot * 2] = high
    slots[slot * 2 + 1] = second
    return true
  }
}
