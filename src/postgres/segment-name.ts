/**
 * Names of WAL files: segments, partial segments, history and backup-history files.
 * Source: PostgreSQL src/include/access/xlog_internal.h (XLogFileName and friends).
 */
import { type Lsn, toLsn } from './lsn.ts'

/**
 * Bytes of a WAL segment: a power of two from 1 MB to 1 GB; 16 MB unless initdb was told otherwise.
 */
export const DEFAULT_SEGMENT_BYTES = 16 * 1024 * 1024

const LEAST_SEGMENT_BYTES = 1024 * 1024
/** Of the largest segment a server can have. */
export const MOST_SEGMENT_BYTES = 1024 ** 3

/** Whether a server can have segments of so many bytes. */
export function isSegmentBytes(bytes: number): boolean {
  const isPower = Number.isInteger(Math.log2(bytes))
  return isPower && bytes >= LEAST_SEGMENT_BYTES && bytes <= MOST_SEGMENT_BYTES
}

/** A WAL segment by what its name says. `number` counts segments from LSN 0/0. */
export interface Segment {
  readonly timeline: number
  readonly number: bigint
}

/** What a file name in pg_wal or in an archive stands for. */
export type WalFileName =
  | {
      readonly kind: 'segment'
      readonly timeline: number
      readonly high: number
      readonly low: number
    }
  | {
      readonly kind: 'partial'
      readonly timeline: number
      readonly high: number
      readonly low: number
    }
  | { readonly kind: 'history'; readonly timeline: number }
  | {
      readonly kind: 'backup'
      readonly timeline: number
      readonly high: number
      readonly low: number
      readonly offset: number
    }

const hex8 = (value: number): string => value.toString(16).toUpperCase().padStart(8, '0')

/** The 24 hex digits that name a segment. */
export function formatSegmentName(segment: Segment, segmentBytes: number): string {
  const perId = 0x100000000n / BigInt(segmentBytes)
  return (
    hex8(segment.timeline) +
    hex8(Number(segment.number / perId)) +
    hex8(Number(segment.number % perId))
  )
}

/**
 * The segment that a 24-digit name stands for, or undefined when the name is none (or impossible
 * for the size).
 */
export function parseSegmentName(name: string, segmentBytes: number): Segment | undefined {
  const file = parseWalFileName(name)
  if (file?.kind !== 'segment') return undefined
  const perId = 0x100000000 / segmentBytes
  if (file.low >= perId) return undefined
  return { timeline: file.timeline, number: BigInt(file.high) * BigInt(perId) + BigInt(file.low) }
}

/** The segment that holds byte `lsn`. */
export function segmentOf(lsn: Lsn, place: { timeline: number; segmentBytes: number }): Segment {
  return { timeline: place.timeline, number: lsn / BigInt(place.segmentBytes) }
}

/** The position of a segment's first byte. */
export function segmentStart(segment: Segment, segmentBytes: number): Lsn {
  return toLsn(segment.number * BigInt(segmentBytes))
}

/** The name of a timeline's history file: `00000002.history`. */
export function formatHistoryName(timeline: number): string {
  return `${hex8(timeline)}.history`
}

/** Reads any WAL file name; undefined for everything else (never throws on foreign names). */
export function parseWalFileName(name: string): WalFileName | undefined {
  const history = /^([0-9A-F]{8})\.history$/.exec(name)
  if (history !== null) return { kind: 'history', timeline: parseHex(history[1]) }
  const match =
    /^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})(\.partial|\.([0-9A-F]{8})\.backup)?$/.exec(name)
  if (match === null) return undefined
  const place = { timeline: parseHex(match[1]), high: parseHex(match[2]), low: parseHex(match[3]) }
  if (match[4] === undefined) return { kind: 'segment', ...place }
  return match[5] === undefined
    ? { kind: 'partial', ...place }
    : { kind: 'backup', ...place, offset: parseHex(match[5]) }
}

function parseHex(text: string | undefined): number {
  return Number.parseInt(text ?? '', 16)
}
