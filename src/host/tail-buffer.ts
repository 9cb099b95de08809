/**
 * The end of a stream whose length nobody knows: keeps the last bytes, forgets the rest.
 */

/** Keeps at least the last `limitBytes` bytes while running and exactly that many in `bytes`. */
export class TailBuffer {
  readonly #limitBytes: number
  #chunks: Buffer[] = []
  #sizeBytes = 0

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  /** Takes ownership of `chunk`. */
  push(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#sizeBytes += chunk.length
    let first = this.#chunks[0]
    while (first !== undefined && this.#sizeBytes - first.length >= this.#limitBytes) {
      this.#chunks.shift()
      this.#sizeBytes -= first.length
      first = this.#chunks[0]
    }
  }

  /** What was kept. */
  bytes(): Buffer {
    const kept = Buffer.concat(this.#chunks)
    return kept.subarray(Math.max(0, kept.length - this.#limitBytes))
  }
}
