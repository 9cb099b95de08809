/**
 * The headers of WAL pages, and what the first of them says about a segment: is this file the one
 * its name says? Source: PostgreSQL src/include/access/xlog_internal.h (XLogPageHeaderData,
 * XLogLongPageHeaderData).
 */
import { formatLsn, type Lsn, toLsn } from './lsn.ts'
import { parseWalFileName } from './segment-name.ts'
import type { PostgresMajor } from './version.ts'

/** Bytes of a WAL page unless PostgreSQL was built otherwise (`walBlockBytes` in pg_control). */
export const DEFAULT_WAL_BLOCK_BYTES = 8192

/** Bytes of the header of a segment's first page. */
export const LONG_HEADER_BYTES = 40
/** Bytes of the header of every other page. */
export const SHORT_HEADER_BYTES = 24

/** Flag of a page header: the page begins with the rest of a record (XLP_FIRST_IS_CONTRECORD). */
export const FIRST_IS_CONTRECORD = 0x0001
/** Flag: it is the header of a segment's first page (XLP_LONG_HEADER). */
export const LONG_HEADER = 0x0002
/**
 * Flag: the record begun before this page was given up after a crash
 * (XLP_FIRST_IS_OVERWRITE_CONTRECORD).
 */
export const FIRST_IS_OVERWRITE_CONTRECORD = 0x0008
const ALL_FLAGS = 0x000f

/** XLOG_PAGE_MAGIC of each major's releases. */
export const WAL_MAGIC: Readonly<Record<PostgresMajor, number>> = {
  11: 0xd098,
  12: 0xd101,
  13: 0xd106,
  14: 0xd10d,
  15: 0xd110,
  16: 0xd113,
  17: 0xd116,
  18: 0xd118,
}

const MAJORS: ReadonlyMap<number, PostgresMajor> = new Map(
  Object.entries(WAL_MAGIC).map(([major, magic]) => [magic, Number(major) as PostgresMajor]),
)

/** The header of any WAL page, with what only a segment's first page says. */
export interface WalPageHeader {
  readonly magic: number
  readonly info: number
  /** Of the first record on the page. */
  readonly timeline: number
  /** Position of the page's first byte. */
  readonly pageLsn: Lsn
  /** Bytes of a record begun on an earlier page that are left, from here on. */
  readonly remainingBytes: number
  /** On the first page of a segment. */
  readonly long:
    | {
        readonly systemIdentifier: string
        readonly segmentBytes: number
        readonly walBlockBytes: number
      }
    | undefined
}

/** What a segment's first page says. */
export interface SegmentIdentity {
  readonly major: PostgresMajor
  /**
   * Of the first page: an ancestor of the timeline in the name when the switch lies inside the
   * segment.
   */
  readonly timeline: number
  readonly startLsn: Lsn
  readonly systemIdentifier: string
  readonly segmentBytes: number
  readonly walBlockBytes: number
}

/** What a file ought to be; what is left out is not compared. */
export interface SegmentExpectation {
  /** File name, with or without `.partial`. */
  readonly name: string
  /** Of the file on disk. Compared with the segment size unless the name ends in `.partial`. */
  readonly fileBytes?: number
  readonly systemIdentifier?: string
  readonly segmentBytes?: number
  readonly major?: number
}

/** Either the identity or why the file is not the segment, in words without full stop. */
export type SegmentInspection =
  | { readonly identity: SegmentIdentity; readonly problem?: undefined }
  | { readonly identity?: undefined; readonly problem: string }

/**
 * Reads the header of the page that starts at `offset`. `long` is left out where its flag is not
 * set or the bytes end before it.
 * @throws {RangeError} when the bytes end inside the short header.
 */
export function readWalPageHeader(bytes: Uint8Array, offset = 0): WalPageHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, bytes.length - offset)
  const info = view.getUint16(2, true)
  const isLong = (info & LONG_HEADER) !== 0 && view.byteLength >= LONG_HEADER_BYTES
  return {
    magic: view.getUint16(0, true),
    info,
    timeline: view.getUint32(4, true),
    pageLsn: toLsn(view.getBigUint64(8, true)),
    remainingBytes: view.getUint32(16, true),
    long: isLong
      ? {
          systemIdentifier: view.getBigUint64(24, true).toString(),
          segmentBytes: view.getUint32(32, true),
          walBlockBytes: view.getUint32(36, true),
        }
      : undefined,
  }
}

/** The major version that writes this magic number, or undefined. */
export function majorOfWalMagic(magic: number): PostgresMajor | undefined {
  return MAJORS.get(magic)
}

/** Whether the flags are ones that PostgreSQL sets. */
export function hasKnownFlags(header: WalPageHeader): boolean {
  return (header.info & ~ALL_FLAGS) === 0
}

/**
 * Judges a WAL segment by its first bytes.
 * @param firstBytes at least the first 40 bytes; more are not looked at.
 */
export function inspectSegment(
  firstBytes: Uint8Array,
  expected: SegmentExpectation,
): SegmentInspection {
  const problem = findContentProblem(firstBytes)
  if (problem !== undefined) return { problem }
  const header = readWalPageHeader(firstBytes)
  const major = majorOfWalMagic(header.magic)
  if (major === undefined) {
    return {
      problem: `its page magic is ${hex(header.magic)}, which no PostgreSQL 11 to 18 writes`,
    }
  }
  if (header.long === undefined || !hasKnownFlags(header)) {
    return {
      problem: `its first page is not the first page of a segment (flags ${hex(header.info)})`,
    }
  }
  const { timeline, pageLsn: startLsn } = header
  const identity = { major, timeline, startLsn, ...header.long }
  const mismatch = findMismatch(identity, expected)
  return mismatch === undefined ? { identity } : { problem: mismatch }
}

function findContentProblem(firstBytes: Uint8Array): string | undefined {
  if (firstBytes.length < LONG_HEADER_BYTES) return `it ends after ${firstBytes.length} bytes`
  const isZero = firstBytes.subarray(0, LONG_HEADER_BYTES).every((byte) => byte === 0)
  return isZero ? 'it begins with zeros: no WAL was written to it' : undefined
}

function findMismatch(identity: SegmentIdentity, expected: SegmentExpectation): string | undefined {
  return (
    findForeignness(identity, expected) ??
    findSizeProblem(identity, expected) ??
    findPlaceProblem(identity, expected.name)
  )
}

function findForeignness(
  identity: SegmentIdentity,
  { systemIdentifier, major }: SegmentExpectation,
): string | undefined {
  if (major !== undefined && major !== identity.major) {
    return `it was written by PostgreSQL ${identity.major}, not ${major}`
  }
  if (systemIdentifier !== undefined && systemIdentifier !== identity.systemIdentifier) {
    return `it belongs to the cluster with system identifier ${identity.systemIdentifier}, not ${systemIdentifier}`
  }
  return undefined
}

function findSizeProblem(
  identity: SegmentIdentity,
  { name, segmentBytes, fileBytes }: SegmentExpectation,
): string | undefined {
  if (segmentBytes !== undefined && segmentBytes !== identity.segmentBytes) {
    return `its segments have ${identity.segmentBytes} bytes, not ${segmentBytes}`
  }
  const isWhole = !name.endsWith('.partial')
  if (isWhole && fileBytes !== undefined && fileBytes !== identity.segmentBytes) {
    return `it has ${fileBytes} bytes, not ${identity.segmentBytes}`
  }
  return undefined
}

function findPlaceProblem(identity: SegmentIdentity, name: string): string | undefined {
  const file = parseWalFileName(name)
  if (file?.kind !== 'segment' && file?.kind !== 'partial') return `"${name}" names no WAL segment`
  const startLsn = toLsn(
    (BigInt(file.high) << 32n) + BigInt(file.low) * BigInt(identity.segmentBytes),
  )
  if (startLsn !== identity.startLsn) {
    return `its content starts at ${formatLsn(identity.startLsn)}, its name says ${formatLsn(startLsn)}`
  }
  if (identity.timeline > file.timeline) {
    return `its content is of timeline ${identity.timeline}, its name says ${file.timeline}`
  }
  return undefined
}

function hex(value: number): string {
  return `0x${value.toString(16).toUpperCase().padStart(4, '0')}`
}
