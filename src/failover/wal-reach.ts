/**
 * How far WAL reaches without a hole, and whether that is known to be its end. Where reading
 * stopped is the end only when nothing of the same WAL stands behind it: otherwise something in
 * between is damaged or lost.
 */
import { addBytes, formatLsn, type Lsn } from '../postgres/lsn.ts'
import {
  formatSegmentName,
  type Segment,
  segmentOf,
  segmentStart,
} from '../postgres/segment-name.ts'
import type { TimelineHistory } from '../postgres/timeline.ts'
import { SHORT_HEADER_BYTES } from '../postgres/wal-page.ts'
import { WalScanner } from '../postgres/wal-scanner.ts'
import type { WalPosition } from '../wal/wal-position.ts'
import { findRemains, isPageOf } from './wal-tail.ts'

const BLOCK_BYTES = 8192

/** Where a server stands: a boundary between two records. */
export interface Standing extends WalPosition {
  readonly segmentBytes: number
  /**
   * How it came to its timeline: WAL from before lies under the names of older ones. Its own
   * timeline's alone when left out.
   */
  readonly history?: TimelineHistory | undefined
}

/**
 * Name of the segment in which `place` goes on at `number`: PostgreSQL prefers the newest timeline
 * that has reached it.
 */
export function segmentNameAt(
  { timeline, history, segmentBytes }: Standing,
  number: bigint,
): string {
  const begun = (history?.switches ?? []).filter(
    ({ switchLsn }) => switchLsn / BigInt(segmentBytes) > number,
  )[0]
  return formatSegmentName({ timeline: begun?.timeline ?? timeline, number }, segmentBytes)
}

/** Who WAL is read from. Both throw when it cannot be looked at: that is no answer. */
export interface WalReader {
  /**
   * A whole segment by its name, its unfinished end as it is; undefined when there is no such file.
   */
  readonly readSegment: (name: string) => Promise<Buffer | undefined>
  /**
   * The first segment after `name` on its timeline that holds what its name says; undefined when
   * there is none.
   * @param isAny whatever it holds: files are made in their order, so one that is missing before
   * others is lost.
   */
  readonly findLater: (name: string, isAny: boolean) => Promise<string | undefined>
}

/** How far it was read. */
export interface WalReach {
  /** After the last valid record. */
  readonly endLsn: Lsn
  /** Why more may follow, one sentence without full stop; undefined when it is the end. */
  readonly doubt: string | undefined
}

/**
 * Reads WAL from `standing` on, however much it is. Undefined when the WAL there is gone.
 * @param throughLsn where it is known to have come to: up to there nothing may be missing, and what
 * stands behind does not count.
 */
export async function reachOfWal(
  reader: WalReader,
  standing: Standing,
  throughLsn?: Lsn,
): Promise<WalReach | undefined> {
  const { lsn, segmentBytes } = standing
  const first = segmentOf(lsn, standing)
  const startLsn = segmentStart(first, segmentBytes)
  const scanner = new WalScanner({ startLsn, recordLsn: lsn, segmentBytes })
  for (let { number } = first; ; number += 1n) {
    const segment = { ...first, number }
    const isThrough = throughLsn !== undefined && segmentStart(segment, segmentBytes) >= throughLsn
    if (isThrough && number > first.number) return { endLsn: scanner.endLsn, doubt: undefined }
    const name = segmentNameAt(standing, number)
    const content = await reader.readSegment(name)
    if (content === undefined && number === first.number && lsn > startLsn) return undefined
    const piece = { name, segment, content, segmentBytes }
    const isAtEnd = pushPiece(scanner, piece, throughLsn)
    if (!isAtEnd) continue
    return { endLsn: scanner.endLsn, doubt: await doubtOf(reader, { scanner, throughLsn }, piece) }
  }
}

interface WalPiece {
  readonly name: string
  readonly segment: Segment
  readonly content: Buffer | undefined
  readonly segmentBytes: number
}

/** Whether there is no more to push. */
function pushPiece(scanner: WalScanner, piece: WalPiece, throughLsn: Lsn | undefined): boolean {
  const { segment, content, segmentBytes } = piece
  if (content === undefined) return true
  const start = segmentStart(segment, segmentBytes)
  const wantedBytes = throughLsn === undefined ? segmentBytes : Number(throughLsn - start)
  const bytes = content.subarray(0, Math.max(0, wantedBytes))
  for (const _record of scanner.push(bytes));
  return scanner.stop !== undefined || bytes.length < segmentBytes
}

/** Why where reading stopped may not be the end. */
async function doubtOf(
  reader: WalReader,
  { scanner, throughLsn }: { readonly scanner: WalScanner; readonly throughLsn: Lsn | undefined },
  { name, segment, content, segmentBytes }: WalPiece,
): Promise<string | undefined> {
  const here = `it can be read up to ${formatLsn(scanner.endLsn)}`
  const start = segmentStart(segment, segmentBytes)
  if (throughLsn !== undefined) {
    const haveLsn = addBytes(start, content?.length ?? 0)
    const isWhole = scanner.stop === undefined && haveLsn >= throughLsn
    return isWhole ? undefined : `${here} only, of ${formatLsn(throughLsn)}`
  }
  const pageLsn = content && laterPage(content, { startLsn: start, fromLsn: scanner.nextLsn })
  if (pageLsn !== undefined) return `${here}, and there is more of it at ${formatLsn(pageLsn)}`
  const later = await reader.findLater(name, false)
  if (later !== undefined) return `${here}, and there is more of it in ${later}`
  const place = { startLsn: start, content: content ?? Buffer.alloc(0), segmentBytes }
  const remainsLsn = findRemains(scanner, place)
  if (remainsLsn !== undefined) {
    return `${here}, and what stands at ${formatLsn(remainsLsn)} is not as behind its end`
  }
  const next = content === undefined ? await reader.findLater(name, true) : undefined
  return next && `${here}, and ${name} is missing, but ${next} is there`
}

/**
 * The first page from `fromLsn` on that says it stands where it does: one of a recycled segment
 * names its old place.
 */
function laterPage(
  content: Buffer,
  place: { readonly startLsn: Lsn; readonly fromLsn: Lsn },
): Lsn | undefined {
  const { startLsn, fromLsn } = place
  for (
    let at = Number(fromLsn - startLsn);
    at + SHORT_HEADER_BYTES <= content.length;
    at += BLOCK_BYTES
  ) {
    const pageLsn = addBytes(startLsn, at)
    if (isPageOf(content.subarray(at), pageLsn)) return pageLsn
  }
  return undefined
}
