/**
 * Whether what stands behind the last valid record of WAL, in the page where reading stopped, was
 * written there: then it is damage, and not the end. Pure.
 *
 * What is normal. PostgreSQL writes whole pages and has filled them with zeros before, so behind
 * the last record of a primary there are zeros to the page's end, and the next page is one of zeros
 * or of another place: a segment is recycled by its name alone. SIGKILL changes nothing of that,
 * but a record may go on in a page not written yet, and a page may be written while its last record
 * is still being copied into it: then that record's rest is zeros, as it is where a power cut left
 * the first part of a page. A standby writes the bytes that it receives and no zeros behind them:
 * there the file's older bytes begin, which have no link to what is before.
 *
 * What cannot be told from damage: a record that is linked to the one before, is there to its end
 * and has a wrong CRC; anything behind a place that cannot be read which is neither zeros nor
 * older. A crash leaves such things, too, rarely: records copied behind one still being copied; a
 * page torn so that only its later part was written, or its first part over a recycled file. Such a
 * failover asks for consent, unless others prove that they have what was confirmed.
 *
 * What nobody can see: a last page that is lost as a whole and reads as zeros. Who else had more of
 * it may know.
 */
import { addBytes, type Lsn } from '../postgres/lsn.ts'
import {
  LONG_HEADER_BYTES,
  majorOfWalMagic,
  readWalPageHeader,
  SHORT_HEADER_BYTES,
} from '../postgres/wal-page.ts'
import {
  hasOtherLength,
  PREVIOUS_OFFSET,
  readPosition,
  readU32,
  RECORD_ALIGNMENT,
  RECORD_HEADER_BYTES,
  WalRecord,
} from '../postgres/wal-record.ts'
import type { WalScanner } from '../postgres/wal-scanner.ts'

const BLOCK_BYTES = 8192
/**
 * So many zeros end no record with which a transaction is confirmed: a commit ends with a time, a
 * prepared one with at most 15.
 */
const UNWRITTEN_BYTES = 24

/** The segment in which reading stopped. */
export interface StoppedIn {
  readonly startLsn: Lsn
  /** As far as there is any. */
  readonly content: Uint8Array
  readonly segmentBytes: number
}

/**
 * What stands somewhere. `previousLsn`: start of the last valid record before; undefined when none
 * was read.
 */
interface Bytes {
  readonly bytes: Uint8Array
  readonly lsn: Lsn
  readonly segmentBytes: number
  readonly previousLsn: Lsn | undefined
  /** Whether the page behind is one of another place. */
  readonly isBeforeForeign: boolean
}

/** Where something stands that should not; undefined when all is as behind the end. */
export function findRemains(scanner: WalScanner, place: StoppedIn): Lsn | undefined {
  const pageLsn = scanner.stop && pageOf(addBytes(scanner.nextLsn, -1))
  if (pageLsn === undefined) return openRemains(scanner, place, false)
  const page = pageAt(place, pageLsn)
  if (isPageOf(page, pageLsn)) return remainsIn(page, pageLsn, { scanner, place })
  const isBeforeForeign = isForeignPage(page, pageLsn, place.segmentBytes)
  return isBeforeForeign || isZero(page) ? openRemains(scanner, place, isBeforeForeign) : pageLsn
}

/** Behind the last record on a page of here. */
function remainsIn(
  page: Uint8Array,
  pageLsn: Lsn,
  { scanner, place }: { readonly scanner: WalScanner; readonly place: StoppedIn },
): Lsn | undefined {
  const { endLsn, lastLsn: previousLsn } = scanner
  const { segmentBytes } = place
  // It continues no record that it says it continues, or one that is damaged.
  if (endLsn < pageLsn) return pageLsn
  const offset = Math.max(Number(endLsn - pageLsn), headerBytesOf(page))
  const nextLsn = addBytes(pageLsn, BLOCK_BYTES)
  const isBeforeForeign = isForeignPage(pageAt(place, nextLsn), nextLsn, segmentBytes)
  const lsn = addBytes(pageLsn, offset)
  const rest = { bytes: page.subarray(offset), lsn, segmentBytes, previousLsn, isBeforeForeign }
  return isZero(rest.bytes) || isUnwritten(rest) || isForeign(rest) ? undefined : lsn
}

/** Before a page that was not written: what of a last record stands before it. */
function openRemains(
  { unfinished, lastLsn: previousLsn }: WalScanner,
  { segmentBytes }: StoppedIn,
  isBeforeForeign: boolean,
): Lsn | undefined {
  if (unfinished === undefined) return undefined
  const open = { ...unfinished, segmentBytes, previousLsn, isBeforeForeign }
  return isBegun(open) || isForeign(open) ? undefined : open.lsn
}

function pageAt({ content, startLsn }: StoppedIn, pageLsn: Lsn): Uint8Array {
  const at = Number(pageLsn - startLsn)
  return content.subarray(at, at + BLOCK_BYTES)
}

/** Whether bytes begin with the header of the WAL page at this position. */
export function isPageOf(bytes: Uint8Array, pageLsn: Lsn): boolean {
  return placeOfPage(bytes) === pageLsn
}

/** Where a page says it stands; undefined when it is none. */
function placeOfPage(bytes: Uint8Array): Lsn | undefined {
  if (bytes.length < SHORT_HEADER_BYTES) return undefined
  const { magic, pageLsn } = readWalPageHeader(bytes)
  return majorOfWalMagic(magic) === undefined ? undefined : pageLsn
}

/** Whether it was written when its file had another name, and nothing of here into it since. */
function isForeignPage(bytes: Uint8Array, pageLsn: Lsn, segmentBytes: number): boolean {
  const there = placeOfPage(bytes)
  if (there === undefined || there === pageLsn) return false
  if ((pageLsn - there) % BigInt(segmentBytes) !== 0n) return false
  return !originsOf({ bytes, lsn: pageLsn, segmentBytes }).has('here')
}

/** Whether a record begins there whose end was not written, and nothing behind it. */
function isUnwritten(rest: Bytes): boolean {
  const { bytes } = rest
  const totalBytes = readU32(bytes, 0)
  if (totalBytes < RECORD_HEADER_BYTES || totalBytes > bytes.length) return false
  return isZero(bytes.subarray(totalBytes - UNWRITTEN_BYTES)) && isBegun(rest)
}

/**
 * Whether a record begins there that was not written to its end: not one that only seems so because
 * its length is damaged.
 */
function isBegun(rest: Bytes): boolean {
  return isLinked(rest) && !originsOf(rest).has('here') && !hasOtherLength(rest.bytes)
}

/** Whether it points back to the record before it, as far as it is there. */
function isLinked({ bytes, lsn, previousLsn, segmentBytes }: Bytes): boolean {
  if (bytes.length < PREVIOUS_OFFSET + 8) return true
  const linkLsn = readPosition(bytes, PREVIOUS_OFFSET)
  if (previousLsn !== undefined) return linkLsn === Number(previousLsn)
  return linkLsn < Number(lsn) && linkLsn >= Number(lsn) - segmentBytes
}

/** Whether nothing of here was written over what an earlier life of the file has left. */
function isForeign(rest: Bytes): boolean {
  if (isDamaged(rest)) return false
  const origins = originsOf(rest)
  if (origins.size > 0) return !origins.has('here')
  // Within a large record there is none to be recognized; but it goes on to the page's end, where a
  // page written here has zeros.
  return rest.isBeforeForeign && !isZero(rest.bytes.subarray(-RECORD_ALIGNMENT))
}

/**
 * Whether a record of here begins there that is not valid: it is linked, or would be valid with
 * another link or length.
 */
function isDamaged(rest: Bytes): boolean {
  const { bytes, lsn, previousLsn } = rest
  const isWhole = bytes.length >= RECORD_HEADER_BYTES
  if (!isWhole) return false
  if (isLinked(rest) || hasOtherLength(bytes)) return true
  const totalBytes = readU32(bytes, 0)
  if (previousLsn === undefined || totalBytes > bytes.length) return false
  const linked = Buffer.from(bytes.subarray(0, Math.max(totalBytes, RECORD_HEADER_BYTES)))
  linked.writeBigUInt64LE(previousLsn, PREVIOUS_OFFSET)
  const start = Number(lsn)
  return new WalRecord(linked, { start, end: start, timeline: 0 }).hasValidCrc()
}

/**
 * From where the valid records are that stand there: those of a recycled file point back to where
 * it stood then, a segment away at least.
 */
function originsOf({
  bytes,
  lsn,
  segmentBytes,
}: Pick<Bytes, 'bytes' | 'lsn' | 'segmentBytes'>): ReadonlySet<'here' | 'elsewhere'> {
  const origins = new Set<'here' | 'elsewhere'>()
  for (let at = 0; at + RECORD_HEADER_BYTES <= bytes.length; at += RECORD_ALIGNMENT) {
    const end = at + readU32(bytes, at)
    if (end < at + RECORD_HEADER_BYTES || end > bytes.length) continue
    const start = Number(lsn) + at
    const record = new WalRecord(bytes.subarray(at, end), { start, end: start, timeline: 0 })
    if (!record.hasValidCrc()) continue
    const link = readPosition(bytes, at + PREVIOUS_OFFSET)
    origins.add(link < start && link >= start - segmentBytes ? 'here' : 'elsewhere')
  }
  return origins
}

function pageOf(lsn: Lsn): Lsn {
  return addBytes(lsn, -Number(lsn % BigInt(BLOCK_BYTES)))
}

function headerBytesOf(page: Uint8Array): number {
  return readWalPageHeader(page).long === undefined ? SHORT_HEADER_BYTES : LONG_HEADER_BYTES
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0)
}
