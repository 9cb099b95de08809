/**
 * Walks the records of WAL: over pages, over segments, checking every page header, every link and
 * every CRC, up to where valid WAL ends. Bytes come in through `push`; this file reads nothing
 * itself. Source: PostgreSQL src/backend/access/transam/xlogreader.c (XLogReadRecord,
 * ValidXLogRecord, XLogReaderValidatePageHeader).
 */
import { formatLsn, type Lsn, toLsn } from './lsn.ts'
import { type TimelineHistory, timelineOf } from './timeline.ts'
import {
  DEFAULT_WAL_BLOCK_BYTES,
  FIRST_IS_CONTRECORD,
  FIRST_IS_OVERWRITE_CONTRECORD,
  hasKnownFlags,
  LONG_HEADER,
  LONG_HEADER_BYTES,
  majorOfWalMagic,
  readWalPageHeader,
  SHORT_HEADER_BYTES,
  type WalPageHeader,
} from './wal-page.ts'
import {
  PREVIOUS_OFFSET,
  readPosition,
  readU32,
  RECORD_ALIGNMENT,
  RECORD_HEADER_BYTES,
  WalRecord,
} from './wal-record.ts'

/** Where a scan begins. */
export interface WalScanStart {
  /** Position of the first byte pushed: the start of a page. */
  readonly startLsn: Lsn
  /**
   * Start of the first record wanted. Without it the scan begins with the first record that starts
   * in the bytes.
   */
  readonly recordLsn?: Lsn
  readonly segmentBytes: number
  readonly walBlockBytes?: number
  /**
   * With it every page must be of the timeline that its position belongs to; without it timelines
   * may only grow.
   */
  readonly history?: TimelineHistory | undefined
}

/** Why a scan ended for good. */
export interface WalScanStop {
  /**
   * `zeros`: nothing was written there yet. `invalid`: something else stands there, old WAL or
   * damage.
   */
  readonly kind: 'zeros' | 'invalid'
  /** A sentence without full stop. */
  readonly problem: string
}

interface OpenRecord {
  readonly start: number
  readonly totalBytes: number
  readonly pieces: Uint8Array[]
  haveBytes: number
}

const INFO_OFFSET = 16
const MANAGER_OFFSET = 17
const XLOG_MANAGER = 0
const SWITCH = 0x40
const INFO_MASK = 0xf0

/**
 * One walk forward. Positions are kept as numbers: exact up to 8 PiB of WAL.
 * Records handed out may be views into the bytes pushed.
 */
export class WalScanner {
  readonly #blockBytes: number
  readonly #segmentBytes: number
  readonly #history: TimelineHistory | undefined
  /** Position of the next byte to be pushed. */
  #next: number
  /** No record starts before it: the record wanted first, later the end of the last one. */
  #skipTo: number
  /** Bytes still to pass of a record that began before the scan. */
  #foreignBytes = 0
  #open: OpenRecord | undefined
  #end: number
  #first: number | undefined
  #previous: number | undefined
  #timeline = 0
  #magic = 0
  #hasSeenPage = false
  #stop: WalScanStop | undefined

  constructor(start: WalScanStart) {
    this.#blockBytes = start.walBlockBytes ?? DEFAULT_WAL_BLOCK_BYTES
    this.#segmentBytes = start.segmentBytes
    this.#history = start.history
    this.#next = Number(start.startLsn)
    this.#skipTo = Number(start.recordLsn ?? start.startLsn)
    this.#end = this.#skipTo
    if (this.#next % this.#blockBytes !== 0) {
      throw new RangeError('startLsn is not the start of a page')
    }
  }

  /** End of the last valid record; where the scan began before the first one. */
  get endLsn(): Lsn {
    return toLsn(BigInt(this.#end))
  }

  /** The first byte that was not looked at: after a stop, the page behind the one it stopped in. */
  get nextLsn(): Lsn {
    return toLsn(BigInt(this.#next))
  }

  /** Start of the first record begun in the bytes, whole or not yet. */
  get firstLsn(): Lsn | undefined {
    return this.#first === undefined ? undefined : toLsn(BigInt(this.#first))
  }

  /** Start of the last valid record: what the next one has to point back to. */
  get lastLsn(): Lsn | undefined {
    return this.#previous === undefined ? undefined : toLsn(BigInt(this.#previous))
  }

  /**
   * Where a record begins that goes on behind the bytes read, and what of it stands on its first
   * page.
   */
  get unfinished(): { readonly lsn: Lsn; readonly bytes: Uint8Array } | undefined {
    const bytes = this.#open?.pieces[0]
    return this.#open && bytes && { lsn: toLsn(BigInt(this.#open.start)), bytes }
  }

  /** Undefined while more bytes could bring more records. */
  get stop(): WalScanStop | undefined {
    return this.#stop
  }

  /**
   * Hands out the records that end in `bytes`, which follow those pushed before. Must be iterated
   * to its end before the next push. Bytes may end anywhere, but after a piece that ends inside a
   * page nothing more can be pushed.
   */
  *push(bytes: Uint8Array): Generator<WalRecord, void> {
    if (this.#next % this.#blockBytes !== 0) {
      throw new RangeError('the piece pushed before ended inside a page')
    }
    for (let at = 0; at < bytes.length && this.#stop === undefined; at += this.#blockBytes) {
      const page = bytes.subarray(at, at + this.#blockBytes)
      const pageStart = this.#next
      this.#next += page.length
      if (pageStart + this.#blockBytes <= this.#skipTo) continue
      yield* this.#readPage(page, pageStart)
    }
  }

  #readPage(page: Uint8Array, pageStart: number): WalRecord[] {
    const header = this.#readHeader(page, pageStart)
    if (header === undefined) return []
    const headerBytes = header.long === undefined ? SHORT_HEADER_BYTES : LONG_HEADER_BYTES
    const records: WalRecord[] = []
    let at = this.#continueRecord(page, { pageStart, headerBytes, header, records })
    at = Math.max(at, this.#skipTo - pageStart)
    while (this.#stop === undefined && this.#open === undefined && at + 4 <= page.length) {
      at = this.#beginRecord(page, { pageStart, at, records })
    }
    return records
  }

  /** Checks the header; undefined when the page cannot be used (yet). */
  #readHeader(page: Uint8Array, pageStart: number): WalPageHeader | undefined {
    const isFirst = pageStart % this.#segmentBytes === 0
    const needed = isFirst ? LONG_HEADER_BYTES : SHORT_HEADER_BYTES
    if (page.length < needed) return undefined
    const header = readWalPageHeader(page)
    const problem = this.#findHeaderProblem(header, pageStart, isFirst)
    if (problem !== undefined) {
      const isZero = page.subarray(0, needed).every((byte) => byte === 0)
      this.#stop = isZero
        ? { kind: 'zeros', problem: `zeros from page ${place(pageStart)} on` }
        : { kind: 'invalid', problem: `page ${place(pageStart)}: ${problem}` }
      return undefined
    }
    this.#timeline = header.timeline
    this.#magic = header.magic
    return header
  }

  #findHeaderProblem(
    header: WalPageHeader,
    pageStart: number,
    isFirst: boolean,
  ): string | undefined {
    if (majorOfWalMagic(header.magic) === undefined) return `unknown magic ${header.magic}`
    if (this.#magic !== 0 && header.magic !== this.#magic) {
      return `magic ${header.magic} after ${this.#magic}`
    }
    if (!hasKnownFlags(header)) return `unknown flags ${header.info}`
    if (((header.info & LONG_HEADER) !== 0) !== isFirst) return 'header of the wrong kind'
    if (header.long !== undefined && header.long.segmentBytes !== this.#segmentBytes) {
      return `segment size ${header.long.segmentBytes}`
    }
    if (Number(header.pageLsn) !== pageStart) return `says it is page ${formatLsn(header.pageLsn)}`
    if (header.timeline < this.#timeline) {
      return `timeline ${header.timeline} after ${this.#timeline}`
    }
    const expected = this.#history && timelineOf(this.#history, header.pageLsn)
    if (expected !== undefined && header.timeline !== expected) {
      return `timeline ${header.timeline}, not ${expected}`
    }
    return undefined
  }

  /**
   * Takes the bytes that continue a record of an earlier page. Returns where the next record
   * starts.
   */
  #continueRecord(
    page: Uint8Array,
    context: {
      pageStart: number
      headerBytes: number
      header: WalPageHeader
      records: WalRecord[]
    },
  ): number {
    const { pageStart, headerBytes, header, records } = context
    const isFirstPage = !this.#hasSeenPage
    this.#hasSeenPage = true
    const continues = (header.info & FIRST_IS_CONTRECORD) !== 0
    if (isFirstPage && continues) this.#foreignBytes = header.remainingBytes
    if ((header.info & FIRST_IS_OVERWRITE_CONTRECORD) !== 0) this.#abandonRecord()
    const open = this.#open
    const expected = open === undefined ? this.#foreignBytes : open.totalBytes - open.haveBytes
    if (expected !== (continues ? header.remainingBytes : 0)) {
      const left = continues ? header.remainingBytes : 0
      this.#fail(`page ${place(pageStart)} continues a record by ${left} bytes, not ${expected}`)
      return page.length
    }
    const available = page.subarray(headerBytes, headerBytes + expected)
    const at = align(headerBytes + available.length)
    if (open === undefined) this.#foreignBytes -= available.length
    else this.#extendRecord(open, available, { at: pageStart + at, records })
    return this.#foreignBytes > 0 ? page.length : at
  }

  #extendRecord(
    open: OpenRecord,
    piece: Uint8Array,
    context: { at: number; records: WalRecord[] },
  ): void {
    open.pieces.push(piece.slice())
    open.haveBytes += piece.length
    if (open.haveBytes < open.totalBytes) return
    this.#open = undefined
    const bytes = Buffer.concat(open.pieces)
    this.#finishRecord(bytes, { start: open.start, end: context.at, records: context.records })
  }

  /** The record left unfinished by a crash was given up by the server, which wrote on after it. */
  #abandonRecord(): void {
    this.#open = undefined
    this.#foreignBytes = 0
  }

  #beginRecord(
    page: Uint8Array,
    context: { pageStart: number; at: number; records: WalRecord[] },
  ): number {
    const { pageStart, at, records } = context
    const start = pageStart + at
    const totalBytes = readU32(page, at)
    if (totalBytes < RECORD_HEADER_BYTES) {
      if (totalBytes === 0) this.#stop = { kind: 'zeros', problem: `zeros from ${place(start)} on` }
      else this.#fail(`the record at ${place(start)} has a length of ${totalBytes}`)
      return page.length
    }
    this.#first ??= start
    if (page.length - at >= totalBytes) {
      const next = align(at + totalBytes)
      const bytes = page.subarray(at, at + totalBytes)
      this.#finishRecord(bytes, { start, end: pageStart + next, records })
      return Math.max(next, this.#skipTo - pageStart)
    }
    const piece = page.slice(at)
    this.#open = { start, totalBytes, pieces: [piece], haveBytes: piece.length }
    return page.length
  }

  #finishRecord(
    bytes: Uint8Array,
    context: { start: number; end: number; records: WalRecord[] },
  ): void {
    const { start, records } = context
    const end = isSwitch(bytes)
      ? Math.ceil(context.end / this.#segmentBytes) * this.#segmentBytes
      : context.end
    const record = new WalRecord(bytes, { start, end, timeline: this.#timeline })
    const previous = readPosition(bytes, PREVIOUS_OFFSET)
    if (this.#previous === undefined ? previous >= start : previous !== this.#previous) {
      return this.#fail(`the record at ${place(start)} does not follow the one before it`)
    }
    if (!record.hasValidCrc()) return this.#fail(`the record at ${place(start)} has a wrong CRC`)
    this.#previous = start
    this.#end = end
    this.#skipTo = end
    records.push(record)
  }

  #fail(problem: string): void {
    this.#stop = { kind: 'invalid', problem }
  }
}

/** After a switch the rest of the segment is empty: the next record starts in the next segment. */
function isSwitch(record: Uint8Array): boolean {
  const info = (record[INFO_OFFSET] ?? 0) & INFO_MASK
  return record[MANAGER_OFFSET] === XLOG_MANAGER && info === SWITCH
}

function align(value: number): number {
  return Math.ceil(value / RECORD_ALIGNMENT) * RECORD_ALIGNMENT
}

function place(position: number): string {
  return formatLsn(toLsn(BigInt(position)))
}
