/**
 * Whether a backup cannot become consistent without a WAL segment. Pure.
 */
import { addBytes } from '../postgres/lsn.ts'
import { parseSegmentName, segmentStart } from '../postgres/segment-name.ts'
import type { BackupInfo } from '../repository/backup-info.ts'

/** `name`: of a segment. */
export function isOwnWal(
  name: string,
  { timeline, startLsn, stopLsn }: Pick<BackupInfo, 'timeline' | 'startLsn' | 'stopLsn'>,
  segmentBytes: number,
): boolean {
  const segment = parseSegmentName(name, segmentBytes)
  if (segment?.timeline !== timeline) return false
  const start = segmentStart(segment, segmentBytes)
  return start < stopLsn && addBytes(start, segmentBytes) > startLsn
}
