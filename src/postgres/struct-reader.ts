/**
 * Reads fields of a C struct one after the other, aligned as a 64-bit little-endian compiler lays
 * them out.
 */

/**
 * A cursor over a struct that starts at byte 0 of `bytes`. Reading past the end throws a
 * RangeError.
 */
export class StructReader {
  readonly #view: DataView
  #at = 0

  /** `bytes` is not copied. */
  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** Offset of the next field, before its alignment. */
  get offset(): number {
    return this.#at
  }

  bool(): boolean {
    return this.#view.getUint8(this.#take(1)) !== 0
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true)
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true)
  }

  i32(): number {
    return this.#view.getInt32(this.#take(4), true)
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true)
  }

  i64(): bigint {
    return this.#view.getBigInt64(this.#take(8), true)
  }

  f64(): number {
    return this.#view.getFloat64(this.#take(8), true)
  }

  /** Moves to the next multiple of `alignment`, as the end of a nested struct does. */
  align(alignment: number): void {
    this.#at = Math.ceil(this.#at / alignment) * alignment
  }

  skip(bytes: number): void {
    this.#at += bytes
  }

  #take(size: number): number {
    this.align(size)
    const at = this.#at
    this.#at += size
    return at
  }
}
