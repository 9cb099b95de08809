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
}

/** XLOG_SWITCH: what comes after it in the segment is zeros. */
export const SWITCH: RecordSpec = { resourceManager: 0, info: 0x40 }

/** Writes pages of one segment after the other, each page when it is begun. */
export class WalBuilder {
  readonly segmentBytes: number
  timeline = 1
  #bytes = Buffer.alloc(0)
  #previous = 0n
  readonly #start: bigint

  constructor(start: bigint, segmentBytes = 1024 * 1024) {
    this.#start = start
    this.segmentBytes = segmentBytes
  }

  get bytes(): Buffer {
    return this.#bytes
  }

  get position(): bigint {
    return this.#start + BigInt(this.#bytes.length)
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
    this.#append(Buffer.alloc((8 - (this.#bytes.length % 8)) % 8))
    return start
  }

  /** Zeros to the end of the page, or of the segment. */
  fill(unit: 'page' | 'segment'): void {
    const size = unit === 'page' ? PAGE : this.segmentBytes
    this.#append(Buffer.alloc((size - (this.#bytes.length % size)) % size))
  }

  #room(): number {
    return PAGE - (this.#bytes.length % PAGE)
  }

  #append(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes])
  }

  #encode(spec: RecordSpec): Buffer {
    const data = Buffer.alloc(spec.dataBytes ?? 0, 7)
    const head = data.length === 0 ? Buffer.alloc(0) : Buffer.alloc(5, 254)
    if (head.length > 0) head.writeUInt32LE(data.length, 1)
    const record = Buffer.concat([Buffer.alloc(24), head, data])
    record.writeUInt32LE(record.length, 0)
    record.writeBigUInt64LE(this.#previous, 8)
    record.writeUInt8(spec.info ?? 0, 16)
    record.writeUInt8(spec.resourceManager ?? 10, 17)
    record.writeUInt32LE(crc32c(record.subarray(0, 20), crc32c(record.subarray(24))), 20)
    return record
  }
}
