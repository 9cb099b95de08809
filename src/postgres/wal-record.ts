/**
 * One WAL record: its header, its CRC, and its main data. Where records lie in a stream is
 * wal-scanner.ts; what some of them mean is wal-event.ts. Source: PostgreSQL
 * src/include/access/xlogrecord.h, src/backend/access/transam/xlogreader.c.
 */
import { crc32c } from '@node-rs/crc32'
import { type Lsn, toLsn } from './lsn.ts'
import { RunningCrc } from './running-crc.ts'

/** Bytes of a record's header. */
export const RECORD_HEADER_BYTES = 24

/** Records start at multiples of this. */
export const RECORD_ALIGNMENT = 8

const CRC_OFFSET = 20
const CRC = new RunningCrc()

/** Where a record's header holds the position of the record before it. */
export const PREVIOUS_OFFSET = 8

const BLOCK_ID_DATA_SHORT = 255
const BLOCK_ID_DATA_LONG = 254
const BLOCK_ID_ORIGIN = 253
const BLOCK_ID_TOPLEVEL_XID = 252

/**
 * A complete record. `bytes` may be a view into the bytes that were scanned: valid as long as those
 * are. The getters compute when asked, because most records of a scan are never looked at.
 */
export class WalRecord {
  readonly bytes: Uint8Array
  /** Of the page on which the record ends. */
  readonly timeline: number
  readonly #start: number
  readonly #end: number

  constructor(bytes: Uint8Array, place: { start: number; end: number; timeline: number }) {
    this.bytes = bytes
    this.timeline = place.timeline
    this.#start = place.start
    this.#end = place.end
  }

  /** Where the record starts: what PostgreSQL calls its LSN. */
  get lsn(): Lsn {
    return toLsn(BigInt(this.#start))
  }

  /** First byte after it, aligned: the flush position that proves the record was received. */
  get endLsn(): Lsn {
    return toLsn(BigInt(this.#end))
  }

  get totalBytes(): number {
    return readU32(this.bytes, 0)
  }

  get xid(): number {
    return readU32(this.bytes, 4)
  }

  /** Start of the record before it. */
  get previousLsn(): Lsn {
    return toLsn(BigInt(readPosition(this.bytes, PREVIOUS_OFFSET)))
  }

  /** The resource manager's own four bits, and four flags of the record. */
  get info(): number {
    return this.bytes[16] ?? 0
  }

  /** Resource manager id: 0 XLOG, 1 Transaction, … (src/include/access/rmgrlist.h). */
  get resourceManager(): number {
    return this.bytes[17] ?? 0
  }

  /** Whether the CRC-32C of the content is the one in the header. */
  hasValidCrc(): boolean {
    const { bytes } = this
    CRC.begin()
    CRC.update(bytes, RECORD_HEADER_BYTES, bytes.length)
    CRC.update(bytes, 0, CRC_OFFSET)
    return CRC.value === readU32(bytes, CRC_OFFSET)
  }

  /**
   * The main data of a record without block references (all that wal-event.ts needs); undefined for
   * others.
   * @throws {RangeError} when it is longer than the record.
   */
  mainData(): DataView | undefined {
    let at = RECORD_HEADER_BYTES
    while (at < this.bytes.length) {
      const id = this.bytes[at]
      if (id === BLOCK_ID_DATA_SHORT) return this.#tail(this.bytes[at + 1] ?? 0)
      if (id === BLOCK_ID_DATA_LONG) return this.#tail(readU32(this.bytes, at + 1))
      if (id === BLOCK_ID_ORIGIN) at += 3
      else if (id === BLOCK_ID_TOPLEVEL_XID) at += 5
      else return undefined
    }
    return undefined
  }

  #tail(length: number): DataView {
    const { buffer, byteOffset, byteLength } = this.bytes
    if (length > byteLength - RECORD_HEADER_BYTES) throw new RangeError('a record is too short')
    return new DataView(buffer, byteOffset + byteLength - length, length)
  }
}

/**
 * Whether a record lies at the beginning of `bytes` whose length alone is damaged: with another one
 * that fits into `bytes` its CRC is right. One that was only written in part is taken for it once
 * in half a million.
 */
export function hasOtherLength(bytes: Uint8Array): boolean {
  if (bytes.length < RECORD_HEADER_BYTES) return false
  const header = Uint8Array.from(bytes.subarray(0, CRC_OFFSET))
  const view = new DataView(header.buffer)
  let crc = 0
  for (let length = RECORD_HEADER_BYTES; length <= bytes.length; length += 1) {
    view.setUint32(0, length, true)
    if (crc32c(header, crc) === readU32(bytes, CRC_OFFSET)) return length !== readU32(bytes, 0)
    crc = crc32c(bytes.subarray(length, length + 1), crc)
  }
  return false
}

/** A number of four bytes. Cheaper than a DataView for each of millions of records. */
export function readU32(bytes: Uint8Array, at: number): number {
  const low = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16)
  return (low | ((bytes[at + 3] ?? 0) << 24)) >>> 0
}

/** A WAL position as a number: exact up to 8 PiB. */
export function readPosition(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at + 4) * 2 ** 32 + readU32(bytes, at)
}
