/**
 * Places and stretches in WAL: a byte position together with the timeline it belongs to. Pure
 * values.
 */
import { formatLsn, type Lsn, toLsn } from '../postgres/lsn.ts'

/** A position on one timeline. */
export interface WalPosition {
  readonly timeline: number
  readonly lsn: Lsn
}

/** The bytes from `startLsn` up to, not including, `endLsn` of one timeline. */
export interface WalRange {
  readonly timeline: number
  readonly startLsn: Lsn
  readonly endLsn: Lsn
}

/** For messages: `0/3000060 on timeline 2`. */
export function describePosition(position: WalPosition): string {
  return `${formatLsn(position.lsn)} on timeline ${position.timeline}`
}

/** The first byte of the segment that holds byte `lsn`. */
export function segmentFloor(lsn: Lsn, segmentBytes: number): Lsn {
  return toLsn(lsn - (lsn % BigInt(segmentBytes)))
}

/** `lsn` itself when a segment begins there, else the first byte of the next segment. */
export function segmentCeiling(lsn: Lsn, segmentBytes: number): Lsn {
  return segmentFloor(toLsn(lsn + BigInt(segmentBytes) - 1n), segmentBytes)
}

/** The smaller of two positions. */
export function earlierLsn(a: Lsn, b: Lsn): Lsn {
  return a < b ? a : b
}
