/**
 * Where valid WAL ends in a segment: the boundary after the last record whose pages, links and CRC
 * are right. Pure.
 */
import { addBytes, type Lsn } from '../postgres/lsn.ts'
import { type Segment, segmentStart } from '../postgres/segment-name.ts'
import { FIRST_IS_CONTRECORD, LONG_HEADER_BYTES, readWalPageHeader } from '../postgres/wal-page.ts'
import { WalScanner } from '../postgres/wal-scanner.ts'

/** The last stretch of WAL that is held. */
export interface WalTail {
  readonly segment: Segment
  readonly segmentBytes: number
  /** The segment's content, as far as there is any. */
  readonly content: Uint8Array
  /**
   * The segment before it, whole, when it is at hand: without it a record that began there cannot
   * be checked.
   */
  readonly before: Uint8Array | undefined
}

/** Where held WAL ends, and the record that what follows has to join. */
export interface WalEnd {
  /** A record boundary, or the segment's start when nothing in it could be proved. */
  readonly endLsn: Lsn
  /**
   * Start of the last record before `endLsn`: what the next record must point back to. Undefined
   * when it is not known.
   */
  readonly lastRecordLsn: Lsn | undefined
}

/**
 * Finds the end; never before the segment's start. A record that began in the segment before is
 * checked when that is at hand, else passed over: what is held begins after its start then, so
 * nothing can ever read it.
 */
export function findWalEnd(tail: WalTail): WalEnd {
  const { segmentBytes, before, content } = tail
  const startLsn = segmentStart(tail.segment, segmentBytes)
  const pieces = before === undefined ? [content] : [before, content]
  const scanFrom = before === undefined ? startLsn : addBytes(startLsn, -segmentBytes)
  const scan = scanPieces(pieces, { startLsn: scanFrom, segmentBytes })
  return scan.endLsn >= startLsn ? scan : { ...scan, endLsn: startLsn }
}

/** Whether the segment begins with the rest of a record of the segment before it. */
export function beginsInsideRecord(content: Uint8Array): boolean {
  if (content.length < LONG_HEADER_BYTES) return false
  return (readWalPageHeader(content).info & FIRST_IS_CONTRECORD) !== 0
}

function scanPieces(
  pieces: readonly Uint8Array[],
  start: { startLsn: Lsn; segmentBytes: number },
): WalEnd {
  const scanner = new WalScanner(start)
  let lastRecordLsn: Lsn | undefined
  for (const piece of pieces) {
    for (const record of scanner.push(piece)) lastRecordLsn = record.lsn
  }
  return { endLsn: scanner.endLsn, lastRecordLsn }
}
