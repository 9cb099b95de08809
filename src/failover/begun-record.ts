/**
 * Whether what somebody has behind the last record of a crashed primary is the beginning of a
 * record that the primary did not write to its end. A primary hands out whole pages before the
 * record in them is whole, so a standby or the backup server can have come further than where its
 * records end.
 */
import { addBytes, bytesBetween, type Lsn } from '../postgres/lsn.ts'
import { segmentOf, segmentStart } from '../postgres/segment-name.ts'
import { earlierLsn } from '../wal/wal-position.ts'
import { segmentNameAt, type Standing } from './wal-reach.ts'
import type { WalSource } from './wal-sources.ts'

/**
 * True when `other` has no record behind the last one of `primary`, and what it has there the
 * primary has, too. @throws what reading throws.
 */
export async function hasBegunRecordOnly(
  primary: WalSource,
  other: WalSource,
  standing: Standing,
): Promise<boolean> {
  if (other.endLsn > primary.endLsn) return false
  const { segmentBytes } = standing
  let fromLsn: Lsn = primary.endLsn
  while (fromLsn < other.hadLsn) {
    const segment = segmentOf(fromLsn, standing)
    const startLsn = segmentStart(segment, segmentBytes)
    const toLsn = earlierLsn(other.hadLsn, addBytes(startLsn, segmentBytes))
    const name = segmentNameAt(standing, segment.number)
    const range = [bytesBetween(startLsn, fromLsn), bytesBetween(startLsn, toLsn)] as const
    const [ours, theirs] = await Promise.all(
      [primary, other].map(async (source) => source.readSegment(name)),
    )
    if (!isSame(ours, theirs, range)) return false
    fromLsn = toLsn
  }
  return true
}

function isSame(
  ours: Buffer | undefined,
  theirs: Buffer | undefined,
  [from, to]: readonly [number, number],
): boolean {
  if (ours === undefined || theirs === undefined) return false
  if (ours.length < to || theirs.length < to) return false
  return ours.subarray(from, to).equals(theirs.subarray(from, to))
}
