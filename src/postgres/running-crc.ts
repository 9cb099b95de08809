/**
 * CRC-32C piece by piece, where short pieces are most: a WAL record has some hundred bytes, and the
 * call into native code would cost more than the work. Eight bytes at a step, by eight tables.
 */
import { crc32c } from '@node-rs/crc32'

/** From here on native code is quicker. */
const LONG_BYTES = 256
const STEP_BYTES = 8
const TABLE_LENGTH = 256
/** The Castagnoli polynomial, lowest bit first. */
const POLYNOMIAL = 0x82f63b78

const TABLES = makeTables()

/** One CRC at a time; made once and begun anew for each. */
export class RunningCrc {
  #crc = 0

  /** Of the bytes since `begin`; unsigned. */
  get value(): number {
    return this.#crc >>> 0
  }

  begin(): void {
    this.#crc = 0
  }

  /** Goes on with `bytes` from `from` up to, not including, `to`. */
  update(bytes: Uint8Array, from: number, to: number): void {
    if (to - from >= LONG_BYTES) {
      this.#crc = crc32c(bytes.subarray(from, to), this.value)
      return
    }
    const t = TABLES
    let crc = ~this.#crc
    let at = from
    for (const last = to - STEP_BYTES; at <= last; at += STEP_BYTES) {
      const low = crc ^ wordAt(bytes, at)
      const high = wordAt(bytes, at + 4)
      crc =
        (t[1792 + (low & 255)] as number) ^
        (t[1536 + ((low >>> 8) & 255)] as number) ^
        (t[1280 + ((low >>> 16) & 255)] as number) ^
        (t[1024 + (low >>> 24)] as number) ^
        (t[768 + (high & 255)] as number) ^
        (t[512 + ((high >>> 8) & 255)] as number) ^
        (t[256 + ((high >>> 16) & 255)] as number) ^
        (t[high >>> 24] as number)
    }
    for (; at < to; at += 1) crc = (t[(crc ^ (bytes[at] as number)) & 255] as number) ^ (crc >>> 8)
    this.#crc = ~crc
  }
}

/** Four bytes, lowest first. */
function wordAt(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  )
}

/** Table n tells what a byte does that is followed by n more. */
function makeTables(): Int32Array {
  const tables = new Int32Array(STEP_BYTES * TABLE_LENGTH)
  for (let byte = 0; byte < TABLE_LENGTH; byte += 1) {
    let crc = byte
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ ((crc & 1) === 0 ? 0 : POLYNOMIAL)
    tables[byte] = crc
  }
  for (let at = TABLE_LENGTH; at < tables.length; at += 1) {
    const before = tables[at - TABLE_LENGTH] ?? 0
    tables[at] = (tables[before & 255] ?? 0) ^ (before >>> 8)
  }
  return tables
}
