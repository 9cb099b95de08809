/**
 * Builds WAL by hand for cases a live server is hard to bring into: crashes in the middle of a record, switches, other timelines.
 */
import { crc32c } from '@node-rs/crc32'
import { WAL_MAGIC } from '../../../src/postgres/wal-page.ts'

const PAGE = 8192

/** A record to be written. */
export interface RecordSpec {
  readonly info?: number
  readonly resourceManager?: number
  readonly dataBytes?: number
  /** All that follows the header, instead of `dataBytes`. */
  readonly body?: Uint8Array
}

/** A block reference without image and data. */
export function blockReference(
  place: readonly [tablespace: number, database: number, file: number, block: number],
  { id = 0, fork = 0 } = {},
): Buffer {
  const reference = Buffer.alloc(20)
  reference.set([id, fork])
  for (const [index, number] of place.entries()) reference.writeUInt32LE(number, 4 + index * 4)
  return reference
}

/** Main data as it stands at a record's end. */
export function mainData(...numbers: readonly number[]): Buffer {
  const data = Buffer.alloc(2 + numbers.length * 4)
  data.set([255, numbers.length * 4])
  for (const [index, number] of numbers.entries()) data.writeUInt32LE(number, 2 + index * 4)
  return data
}

/** XLOG_SWITCH: what comes after it in the segment is zeros. */
export const SWITCH: RecordSpec = { resourceManager: 0, info: 0x40 }

/** Writes pages of one segment after the other, each page when it is begun. */
export class WalBuilder {
  readonly segmentBytes: number
  timeline = 1
  /** Grows by doubling; filled up to `#length`. */
  #bytes = Buffer.alloc(PAGE)
  #length = 0
  #previous = 0n
  readonly #start: bigint

  constructor(start: bigint, segmentBytes = 1024 * 1024) {
    this.#start = start
    this.segmentBytes = segmentBytes
  }

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  get position(): bigint {
    return this.#start + BigInt(this.#length)
  }

  /** Begins a page when the last one is full. */
  page(flags = 0, remaining = 0): void {
    const isFirst = this.position % BigInt(this.segmentBytes) === 0n
    const header = Buffer.alloc(isFirst ? 40 : 24)
    header.writeUInt16LE(WAL_MAGIC[18], 0)
    header.writeUInt16LE(flags | (isFirst ? 2 : 0), 2)
    header.writeUInt32LE(this.timeline, 4)
    header.writeBigUInt64LE(this.position, 8)
    header.writeUInt32LE(remaining, 16)
    if (isFirst) header.writeUInt32LE(this.segmentBytes, 32)
    if (isFirst) header.writeUInt32LE(PAGE, 36)
    this.#append(header)
  }

  /** Writes a record, at most `limit` bytes of it. Returns where it starts. */
  record(spec: RecordSpec = {}, limit = Number.POSITIVE_INFINITY): bigint {
    if (this.#room() === PAGE) this.page()
    const start = this.position
    const record = this.#encode(spec)
    const end = Math.min(limit, record.length)
    for (let at = 0; at < end;) {
      if (this.#room() === PAGE) this.page(1, record.length - at)
      const piece = record.subarray(at, Math.min(end, at + this.#room()))
      this.#append(piece)
      at += piece.length
    }
    if (end < record.length) return start
    this.#previous = start
    this.#append(Buffer.alloc((8 - (this.#length % 8)) % 8))
    return start
  }

  /** Zeros to the end of the page, or of the segment. */
  fill(unit: 'page' | 'segment'): void {
    const size = unit === 'page' ? PAGE : this.segmentBytes
    this.#append(Buffer.alloc((size - (this.#length % size)) % size))
  }

  #room(): number {
    return PAGE - (this.#length % PAGE)
  }

  #append(bytes: Buffer): void {
    const length = this.#length + bytes.length
    if (length > this.#bytes.length) {
      const added = Buffer.alloc(Math.max(length, this.#bytes.length))
      this.#bytes = Buffer.concat([this.#bytes, added])
    }
    this.#bytes.set(bytes, this.#length)
    this.#length = length
  }

  #encode(spec: RecordSpec): Buffer {
    const data = Buffer.alloc(spec.dataBytes ?? 0, 7)
    const head = data.length === 0 ? Buffer.alloc(0) : Buffer.alloc(5, 254)
    if (head.length > 0) head.writeUInt32LE(data.length, 1)
    const record = Buffer.concat([Buffer.alloc(24), spec.body ?? Buffer.concat([head, data])])
    record.writeUInt32LE(record.length, 0)
    record.writeBigUInt64LE(this.#previous, 8)
    record.writeUInt8(spec.info ?? 0, 16)
    record.writeUInt8(spec.resourceManager ?? 10, 17)
    record.writeUInt32LE(crc32c(record.subarray(0, 20), crc32c(record.subarray(24))), 20)
    return record
  }
}
