/**
 * A set of block numbers that stays small when they lie together and when they do not: one bit a
 * block, in chunks of 8 MB of a relation. A relation of which every chunk is touched takes some
 * 20 MB for each TB.
 */

const CHUNK_BLOCKS = 1024
const WORD_BITS = 32
const CHUNK_WORDS = CHUNK_BLOCKS / WORD_BITS

const EMPTY = new Uint32Array(0)

/** Blocks that follow each other: from `from` up to, not including, `to`. */
export interface BlockRun {
  readonly from: number
  readonly to: number
}

/** Block numbers from 0 to 2^32 − 1. */
export class BlockSet {
  /** For each chunk with a block in the set, where its words begin in the pool. */
  readonly #chunks = new Map<number, number>()
  #pool: Uint32Array = EMPTY
  #poolEnd = 0
  /** The chunk asked for last, and its words: most blocks lie near the one before. */
  #lastChunk = -1
  #lastAt = 0

  add(block: number): void {
    const at = this.#wordsOf(Math.floor(block / CHUNK_BLOCKS)) + ((block >>> 5) & (CHUNK_WORDS - 1))
    this.#pool[at] = (this.#pool[at] ?? 0) | (1 << (block & (WORD_BITS - 1)))
  }

  /** Adds all blocks of a run. */
  addRun({ from, to }: BlockRun): void {
    for (let block = from; block < to; block += 1) this.add(block)
  }

  has(block: number): boolean {
    const at = this.#chunks.get(Math.floor(block / CHUNK_BLOCKS))
    if (at === undefined) return false
    const word = this.#pool[at + ((block >>> 5) & (CHUNK_WORDS - 1))] ?? 0
    return (word & (1 << (block & (WORD_BITS - 1)))) !== 0
  }

  /** Whether a block of the run is in the set. */
  hasAny(run: BlockRun): boolean {
    return this.runs(run).next().done !== true
  }

  /** Adds all blocks of another set. */
  addAll(other: BlockSet): void {
    for (const [chunk, from] of other.#chunks) {
      const at = this.#wordsOf(chunk)
      for (let word = 0; word < CHUNK_WORDS; word += 1) {
        this.#pool[at + word] = (this.#pool[at + word] ?? 0) | (other.#pool[from + word] ?? 0)
      }
    }
  }

  /** Takes out `limit` and all blocks after it. */
  cut(limit: number): void {
    for (const chunk of this.#chunks.keys()) {
      if ((chunk + 1) * CHUNK_BLOCKS <= limit) continue
      if (chunk * CHUNK_BLOCKS >= limit) this.#chunks.delete(chunk)
      else this.#cutChunk(chunk, limit - chunk * CHUNK_BLOCKS)
    }
    this.#lastChunk = -1
  }

  /** Everything in the set, or of it what lies in `range`, ascending; no run touches the next. */
  *runs(range?: BlockRun): Generator<BlockRun, void> {
    let from = -1
    let to = -1
    const chunks = range === undefined ? [...this.#chunks] : this.#chunksIn(range)
    for (const block of this.#blocks(chunks)) {
      if (range !== undefined && (block < range.from || block >= range.to)) continue
      if (block === to) {
        to += 1
        continue
      }
      if (to > from) yield { from, to }
      from = block
      to = block + 1
    }
    if (to > from) yield { from, to }
  }

  /** Those there are of the chunks that the range touches. */
  #chunksIn({ from, to }: BlockRun): [number, number][] {
    const found: [number, number][] = []
    const last = Math.floor((to - 1) / CHUNK_BLOCKS)
    for (let chunk = Math.floor(from / CHUNK_BLOCKS); chunk <= last; chunk += 1) {
      const at = this.#chunks.get(chunk)
      if (at !== undefined) found.push([chunk, at])
    }
    return found
  }

  *#blocks(chunks: [number, number][]): Generator<number, void> {
    for (const [chunk, at] of chunks.sort(([one], [other]) => one - other)) {
      for (let index = 0; index < CHUNK_WORDS; index += 1) {
        let word = this.#pool[at + index] ?? 0
        const first = chunk * CHUNK_BLOCKS + index * WORD_BITS
        while (word !== 0) {
          const bit = WORD_BITS - 1 - Math.clz32(word & -word)
          yield first + bit
          word &= word - 1
        }
      }
    }
  }

  #cutChunk(chunk: number, kept: number): void {
    const at = this.#chunks.get(chunk) ?? 0
    const whole = Math.floor(kept / WORD_BITS)
    const rest = kept % WORD_BITS
    this.#pool.fill(0, at + whole + (rest === 0 ? 0 : 1), at + CHUNK_WORDS)
    if (rest === 0) return
    this.#pool[at + whole] = (this.#pool[at + whole] ?? 0) & (2 ** rest - 1)
  }

  #wordsOf(chunk: number): number {
    if (chunk === this.#lastChunk) return this.#lastAt
    this.#lastAt = this.#chunks.get(chunk) ?? this.#begin(chunk)
    this.#lastChunk = chunk
    return this.#lastAt
  }

  #begin(chunk: number): number {
    const at = this.#poolEnd
    this.#poolEnd += CHUNK_WORDS
    if (this.#poolEnd > this.#pool.length) {
      const grown = new Uint32Array(Math.max(CHUNK_WORDS, this.#pool.length * 2))
      grown.set(this.#pool)
      this.#pool = grown
    }
    this.#chunks.set(chunk, at)
    return at
  }
}
