/**
 * Backup-history files that tell of backups that are gone: PostgreSQL archives one with each
 * backup, and nothing reads them.
 */
import { addBytes, type Lsn } from '../postgres/lsn.ts'
import { parseSegmentName, segmentStart } from '../postgres/segment-name.ts'
import type { BackupInfo } from '../repository/backup-info.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import type { WalRange } from '../wal/wal-position.ts'

/** What stays and what goes. */
export interface HistoryFacts {
  /** Backups that are deleted. */
  readonly gone: readonly Pick<BackupInfo, 'timeline' | 'startLsn'>[]
  /** Whether anybody needs WAL there (needed-wal.ts). */
  readonly isNeeded: (range: WalRange) => boolean
}

/**
 * Deletes those of the backups that go, and those that lie in WAL that nobody needs. Returns how
 * many.
 */
export async function deleteStaleHistories(
  cluster: ClusterRepository,
  { gone, isNeeded }: HistoryFacts,
): Promise<number> {
  const { wal, identity } = cluster
  let count = 0
  for (const folder of await wal.listTimelines()) {
    for (const name of await wal.listBackupHistories(folder)) {
      const start = startOf(name, identity.segmentBytes)
      if (start === undefined) continue
      const { timeline, lsn } = start
      const isGone = gone.some((one) => one.timeline === timeline && one.startLsn === lsn)
      if (!isGone && isNeeded({ timeline, startLsn: lsn, endLsn: addBytes(lsn, 1) })) continue
      await wal.deleteBackupHistory(name)
      count += 1
    }
  }
  return count
}

/** Where the backup began: `<segment>.<offset>.backup`. */
function startOf(
  name: string,
  segmentBytes: number,
): { readonly timeline: number; readonly lsn: Lsn } | undefined {
  const segment = parseSegmentName(name.slice(0, 24), segmentBytes)
  if (segment === undefined) return undefined
  const offset = Number.parseInt(name.slice(25, 33), 16)
  return { timeline: segment.timeline, lsn: addBytes(segmentStart(segment, segmentBytes), offset) }
}
