/**
 * Reading and writing the binary records of manifests and block maps: varints, strings, CRCs, in growing and in
 * given buffers.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { bytesOfPath, pathOfBytes } from '../util/byte-path.ts'

/**
 * Of a path or a name. One that is no UTF-8 is read letter by letter, which takes many times its
 * length.
 */
const STRING_BYTES_MAX = 64 * 1024

/** Collects bytes of one block; grows as needed. */
export class ByteWriter {
  #buffer: Buffer
  #length = 0

  constructor(capacity = 128 * 1024) {
    this.#buffer = Buffer.allocUnsafe(capacity)
  }

  get length(): number {
    return this.#length
  }

  /** What was written since the last `clear`: a view, valid until the next call. */
  view(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  clear(): void {
    this.#length = 0
  }

  byte(value: number): void {
    this.#reserve(1)
    this.#buffer[this.#length++] = value
  }

  u32(value: number): void {
    this.#reserve(4)
    this.#length = this.#buffer.writeUInt32LE(value, this.#length)
  }

  u64(value: bigint): void {
    this.#reserve(8)
    this.#length = this.#buffer.writeBigUInt64LE(value, this.#length)
  }

  /** `value`: an integer from 0 to 2^53 − 1. */
  varint(value: number): void {
    this.#reserve(8)
    let rest = value
    while (rest > 0x7f) {
      this.#buffer[this.#length++] = (rest % 128) | 0x80
      rest = Math.floor(rest / 128)
    }
    this.#buffer[this.#length++] = rest
  }

  /** As `bytesOfPath` has it: names need not be UTF-8. */
  string(text: string): void {
    const bytes = bytesOfPath(text)
    this.varint(bytes.length)
    this.bytes(bytes)
  }

  bytes(content: Uint8Array): void {
    this.#reserve(content.byteLength)
    this.#buffer.set(content, this.#length)
    this.#length += content.byteLength
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return
    const grown = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + bytes))
    this.#buffer.copy(grown, 0, 0, this.#length)
    this.#buffer = grown
  }
}

/**
 * Walks through the bytes of one block.
 * @throws {BackstayError} REPOSITORY_DAMAGED past the end.
 */
export class ByteReader {
  readonly #buffer: Buffer
  #position: number

  constructor(buffer: Buffer, position = 0) {
    this.#buffer = buffer
    this.#position = position
  }

  get position(): number {
    return this.#position
  }

  get atEnd(): boolean {
    return this.#position >= this.#buffer.length
  }

  byte(): number {
    const value = this.#buffer[this.#position]
    if (value === undefined) throw endOfBlock()
    this.#position += 1
    return value
  }

  u32(): number {
    return this.bytes(4).readUInt32LE(0)
  }

  u64(): bigint {
    return this.bytes(8).readBigUInt64LE(0)
  }

  varint(): number {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) break
    }
    if (!Number.isSafeInteger(value)) throw endOfBlock()
    return value
  }

  string(): string {
    const length = this.varint()
    if (length > STRING_BYTES_MAX) throw endOfBlock()
    return pathOfBytes(this.bytes(length))
  }

  /** A view of the next `count` bytes. */
  bytes(count: number): Buffer {
    const end = this.#position + count
    if (end > this.#buffer.length) throw endOfBlock()
    const view = this.#buffer.subarray(this.#position, end)
    this.#position = end
    return view
  }
}

function endOfBlock(): BackstayError {
  return new BackstayError(
    'REPOSITORY_DAMAGED',
    'Cannot read an object of the repository: a record ends too early, or a text in it has no end',
  )
}
