/**
 * Gathers small pieces into large writes that run beside the caller, who waits only when all
 * buffers are being written.
 */

const BUFFER_BYTES = 1024 * 1024
const BUFFERS = 4

/** The buffers one tree writer has for all its files. */
export class WriteBuffers {
  readonly #free: Buffer[] = Array.from({ length: BUFFERS }, () =>
    Buffer.allocUnsafeSlow(BUFFER_BYTES),
  )
  #wake: (() => void) | undefined

  /** A buffer, or undefined when all are being written. */
  take(): Buffer | undefined {
    return this.#free.pop()
  }

  give(buffer: Buffer): void {
    this.#free.push(buffer)
    this.#wake?.()
    this.#wake = undefined
  }

  /** Resolves when `take` can succeed. One waiter at a time. */
  async free(): Promise<void> {
    if (this.#free.length > 0) return
    await new Promise<void>((resolve) => (this.#wake = resolve))
  }
}

/**
 * Writes `bytes`, which belong to it until it settles; `position` counts what was submitted before.
 */
export type Submit = (bytes: Uint8Array, position: number) => Promise<void>

/**
 * A stream of bytes on its way through the buffers. Calls must not overlap; submitted writes may
 * finish in any order.
 */
export class Gatherer {
  readonly #buffers: WriteBuffers
  readonly #submitBytes: Submit
  readonly #pending = new Set<Promise<void>>()
  #buffer: Buffer | undefined
  #gatheredBytes = 0
  #submittedBytes = 0
  #failure: { readonly error: unknown } | undefined

  constructor(buffers: WriteBuffers, submit: Submit) {
    this.#buffers = buffers
    this.#submitBytes = submit
  }

  /** Bytes taken so far. */
  get totalBytes(): number {
    return this.#submittedBytes + this.#gatheredBytes
  }

  /**
   * Takes the bytes: they may be reused when it returned nothing or the promise resolved.
   * @throws what an earlier write failed with.
   */
  write(chunk: Uint8Array): void | Promise<void> {
    this.#throwIfFailed()
    const rest = this.#gather(chunk)
    if (rest !== undefined) return this.#gatherRest(rest)
  }

  /**
   * Submits what is gathered and resolves when everything is written.
   * @throws what a write failed with.
   */
  async flush(): Promise<void> {
    this.#submit()
    await this.settle()
    this.#throwIfFailed()
  }

  /** Resolves when nothing is being written; what is only gathered is dropped. Never rejects. */
  async settle(): Promise<void> {
    await Promise.all(this.#pending)
    this.#giveBack()
  }

  /** Copies as much of `chunk` as the buffers take; the rest, if any. */
  #gather(chunk: Uint8Array): Uint8Array | undefined {
    for (let at = 0; at < chunk.length;) {
      this.#buffer ??= this.#buffers.take()
      if (this.#buffer === undefined) return chunk.subarray(at)
      const length = Math.min(chunk.length - at, BUFFER_BYTES - this.#gatheredBytes)
      this.#buffer.set(chunk.subarray(at, at + length), this.#gatheredBytes)
      at += length
      this.#gatheredBytes += length
      if (this.#gatheredBytes === BUFFER_BYTES) this.#submit()
    }
    return undefined
  }

  async #gatherRest(chunk: Uint8Array): Promise<void> {
    for (let rest: Uint8Array | undefined = chunk; rest !== undefined; rest = this.#gather(rest)) {
      await this.#buffers.free()
      this.#throwIfFailed()
    }
  }

  #submit(): void {
    const buffer = this.#buffer
    if (buffer === undefined) return
    const bytes = buffer.subarray(0, this.#gatheredBytes)
    const writing = this.#submitBytes(bytes, this.#submittedBytes)
      .catch((error: unknown) => {
        this.#failure ??= { error }
      })
      .finally(() => {
        this.#pending.delete(writing)
        this.#buffers.give(buffer)
      })
    this.#pending.add(writing)
    this.#submittedBytes += this.#gatheredBytes
    this.#gatheredBytes = 0
    this.#buffer = undefined
  }

  #giveBack(): void {
    if (this.#buffer !== undefined) this.#buffers.give(this.#buffer)
    this.#buffer = undefined
    this.#gatheredBytes = 0
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }
}
