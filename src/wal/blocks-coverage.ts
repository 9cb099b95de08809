/**
 * How much of a segment was gathered.
 */
import { addBytes } from '../postgres/lsn.ts'
import type { SegmentBlocks } from '../postgres/segment-blocks.ts'
import { parseSegmentName, segmentStart } from '../postgres/segment-name.ts'
import { LONG_HEADER_BYTES } from '../postgres/wal-page.ts'

/**
 * `all`: from the record on that the segment begins with, or goes on with. `late`: that one was not
 * seen from its beginning, and is left out. `none`: no record ends in the segment.
 */
export type BlocksCoverage = 'all' | 'late' | 'none'

/** @param name 24 hex digits */
export function coverageOf(
  { span }: SegmentBlocks,
  name: string,
  segmentBytes: number,
): BlocksCoverage {
  const segment = parseSegmentName(name, segmentBytes)
  if (segment === undefined || span === undefined) return 'none'
  const first = addBytes(segmentStart(segment, segmentBytes), LONG_HEADER_BYTES)
  return span.firstLsn <= first ? 'all' : 'late'
}
