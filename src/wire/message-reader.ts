/**
 * Reads the fields of one server message, front to back. Every read is checked against the
 * payload's end.
 */
import { BackstayError } from '../errors/backstay-error.ts'

/** A cursor over a payload. Text is UTF-8; `bytes` gives views into the payload. */
export class MessageReader {
  readonly #payload: Buffer
  #at = 0

  constructor(payload: Buffer) {
    this.#payload = payload
  }

  get remaining(): number {
    return this.#payload.length - this.#at
  }

  uint8(): number {
    return this.bytes(1).readUInt8()
  }

  int16(): number {
    return this.bytes(2).readInt16BE()
  }

  int32(): number {
    return this.bytes(4).readInt32BE()
  }

  uint64(): bigint {
    return this.bytes(8).readBigUInt64BE()
  }

  /** Text up to the next zero byte, which is passed over. */
  text(): string {
    const end = this.#payload.indexOf(0, this.#at)
    if (end < 0) throw tooShort('a text without end')
    const value = this.#payload.toString('utf8', this.#at, end)
    this.#at = end + 1
    return value
  }

  /** The next `length` bytes, or all that is left. */
  bytes(length: number = this.remaining): Buffer {
    if (length < 0 || length > this.remaining) {
      throw tooShort(`${length} bytes wanted, ${this.remaining} left`)
    }
    this.#at += length
    return this.#payload.subarray(this.#at - length, this.#at)
  }
}

function tooShort(what: string): BackstayError {
  return new BackstayError('POSTGRES_PROTOCOL', `Cannot read a message of the server: ${what}`)
}
