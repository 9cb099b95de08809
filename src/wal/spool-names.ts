/**
 * Names of the files in a cluster's spool folder (docs/wal-receiver.md). No reading, no writing.
 */
import { formatSegmentName, parseSegmentName, type Segment } from '../postgres/segment-name.ts'

const SUFFIX = '.spool'

/** A file filled with zeros ahead of need; becomes the next segment's file by renaming. */
export const SPARE_NAME = '.spare'

/** Begin of the names of files that have no place in the spool yet; removed when a receiver starts. */
export const TEMPORARY_PREFIX = '.'

/** `<segment>.spool`: the file that holds a segment from its first byte on. */
export function spoolFileName(segment: Segment, segmentBytes: number): string {
  return `${formatSegmentName(segment, segmentBytes)}${SUFFIX}`
}

/** The segment a spool file holds; undefined for every other name. */
export function parseSpoolFileName(name: string, segmentBytes: number): Segment | undefined {
  return name.endsWith(SUFFIX)
    ? parseSegmentName(name.slice(0, -SUFFIX.length), segmentBytes)
    : undefined
}
