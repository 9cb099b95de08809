/**
 * Chance that can be repeated: the same seed gives the same choices in the same order. Not for secrets.
 */

/** A stream of choices. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** A number in [0, 1) (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number from `least` to `most`, both included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1))
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  /** One of them. */
  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new Error('there is nothing to pick from')
    return items[Math.floor(this.next() * items.length)] as T
  }

  /** One of them, those with more weight more often. */
  weighted<T extends { readonly weight: number }>(items: readonly T[]): T {
    let at = this.next() * items.reduce((sum, { weight }) => sum + weight, 0)
    for (const item of items) {
      at -= item.weight
      if (at < 0) return item
    }
    return this.pick(items)
  }

  /** A stream of its own, for something that runs beside this one. */
  branch(): Random {
    return new Random(Math.floor(this.next() * 2 ** 32))
  }
}
