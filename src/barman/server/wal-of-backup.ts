/**
 * How much WAL belongs to each backup, as Barman counts it: what makes it consistent, and what
 * follows until the next one.
 */
import {
  formatSegmentName,
  parseSegmentName,
  type Segment,
  segmentStart,
} from '../../postgres/segment-name.ts'
import { addBytes, type Lsn } from '../../postgres/lsn.ts'
import type { BackupInfo } from '../../repository/backup-info.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import { rangeAt } from '../../wal/continuity.ts'
import { loadContinuity } from '../../wal/load-continuity.ts'

/** Some segments of a timeline. */
export interface WalCount {
  readonly files: number
  /** As stored. */
  readonly bytes: number
  /** Before compression. */
  readonly rawBytes: number
  readonly last: string | undefined
}

/** A segment that is held. */
export interface HeldSegment extends Segment {
  readonly name: string
  readonly bytes: number
}

/** All finished segments with their stored sizes, in order. */
export async function heldSegments(repository: ClusterRepository): Promise<HeldSegment[]> {
  const { wal, store, names, identity } = repository
  const held: HeldSegment[] = []
  for (const timeline of await wal.listTimelines()) {
    for await (const name of wal.listSegments(timeline)) {
      const segment = parseSegmentName(name, identity.segmentBytes)
      const bytes = await store.size(names.walSegment(name))
      if (segment !== undefined && bytes !== undefined) held.push({ ...segment, name, bytes })
    }
  }
  return held
}

/** What the backup itself needs, and what follows until `next`, the backup after it. */
export function walOfBackup(
  info: BackupInfo,
  next: BackupInfo | undefined,
  held: readonly HeldSegment[],
): { readonly own: WalCount; readonly after: WalCount } {
  const { segmentBytes } = info.postgres
  const start = (segment: Segment): Lsn => segmentStart(segment, segmentBytes)
  const mine = held.filter(
    (segment) =>
      segment.timeline === info.timeline && addBytes(start(segment), segmentBytes) > info.startLsn,
  )
  const end = next?.timeline === info.timeline ? next.startLsn : undefined
  const isOwn = (segment: Segment): boolean => start(segment) < info.stopLsn
  const own = mine.filter(isOwn)
  const after = mine.filter(
    (segment) =>
      !isOwn(segment) && (end === undefined || addBytes(start(segment), segmentBytes) <= end),
  )
  return { own: count(own, segmentBytes), after: count(after, segmentBytes) }
}

/** The segment that holds the byte before `lsn`, or `lsn` itself. */
export function segmentAt(lsn: Lsn, info: BackupInfo): string {
  const { segmentBytes } = info.postgres
  const number = lsn / BigInt(segmentBytes)
  return formatSegmentName({ timeline: info.timeline, number }, segmentBytes)
}

function count(segments: readonly HeldSegment[], segmentBytes: number): WalCount {
  return {
    files: segments.length,
    bytes: segments.reduce((total, { bytes }) => total + bytes, 0),
    rawBytes: segments.length * segmentBytes,
    last: segments.at(-1)?.name,
  }
}

/** The first segment of a backup's own WAL that is not held; undefined when all is. */
export async function walRangeHeld(
  repository: ClusterRepository,
  info: BackupInfo,
): Promise<string | undefined> {
  const map = await loadContinuity(repository)
  const { timeline } = info
  const range = rangeAt(map, { timeline, lsn: info.startLsn })
  const endLsn = range?.endLsn ?? info.startLsn
  return endLsn >= info.stopLsn && range !== undefined ? undefined : segmentAt(endLsn, info)
}
