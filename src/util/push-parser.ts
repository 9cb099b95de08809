/**
 * Cuts a stream of headers and bodies where it lies: the frame of every parser that bytes are
 * pushed into. Nothing is copied but a header that is cut in two.
 */

/**
 * A subclass says in `step` what the next byte belongs to, and moves `at` on. After a step threw it
 * must not be used again.
 */
export abstract class PushParser {
  readonly #header: Buffer
  #headerFilled = 0
  /** What was pushed last, and the next byte of it. */
  protected input: Buffer
  protected at = 0
  /** Bytes of the present body that are still to come. */
  protected remaining = 0

  /** @param headerBytes every header has as many */
  protected constructor(headerBytes: number) {
    this.#header = Buffer.alloc(headerBytes)
    this.input = this.#header
  }

  /**
   * Takes the next bytes. They may be reused once the call has returned nothing or its promise has
   * settled; the next push must wait for that.
   * @throws what a step throws
   */
  push(input: Buffer): void | Promise<void> {
    this.input = input
    this.at = 0
    while (this.at < input.length) {
      const pending = this.step()
      if (pending !== undefined) return this.#resume(pending)
    }
  }

  async #resume(pending: Promise<void>): Promise<void> {
    await pending
    while (this.at < this.input.length) {
      const next = this.step()
      if (next !== undefined) await next
    }
  }

  /** Takes at least one byte of `input`. A promise holds back all that follows. */
  protected abstract step(): void | Promise<void>

  /** Called with each whole header: it lies at `at` of `bytes`, until the call settles. */
  protected abstract begin(bytes: Buffer, at: number): void | Promise<void>

  /** A step inside a header. */
  protected readHeader(): void | Promise<void> {
    const { length } = this.#header
    const available = this.input.length - this.at
    if (this.#headerFilled === 0 && available >= length) {
      this.at += length
      return this.begin(this.input, this.at - length)
    }
    const taken = Math.min(length - this.#headerFilled, available)
    this.input.copy(this.#header, this.#headerFilled, this.at, this.at + taken)
    this.#headerFilled += taken
    this.at += taken
    if (this.#headerFilled < length) return
    this.#headerFilled = 0
    return this.begin(this.#header, 0)
  }

  /** Whether the bytes so far end inside a header. */
  protected get isInsideHeader(): boolean {
    return this.#headerFilled > 0
  }

  /** What `input` has of the body: a view. `remaining` is what follows it. */
  protected takePiece(): Buffer {
    const end = Math.min(this.input.length, this.at + this.remaining)
    const piece = this.input.subarray(this.at, end)
    this.at = end
    this.remaining -= piece.length
    return piece
  }
}
