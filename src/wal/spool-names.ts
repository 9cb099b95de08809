/**
 * Names of the files in a cluster's spool folder (docs/wal-receiver.md). No reading, no writing.
 */
import { createHash } from 'node:crypto'
import { formatSegmentName, parseSegmentName, type Segment } from '../postgres/segment-name.ts'

const SUFFIX = '.spool'

/** A file filled with zeros ahead of need; becomes the next segment's file by renaming. */
export const SPARE_NAME = '.spare'

/**
 * Begin of the names of files that have no place in the spool yet; removed when a receiver starts.
 */
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

/**
 * `<segment>.<fingerprint>.damaged`: a segment that was found damaged, by name and content; the
 * same damage has the same name.
 */
export function damagedFileName(name: string, content: Uint8Array): string {
  const fingerprint = createHash('sha256').update(content).digest('hex').slice(0, 16)
  return `${name}.${fingerprint.toUpperCase()}.damaged`
}
