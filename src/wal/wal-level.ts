/**
 * What was written under wal_level = minimal cannot be recovered from: whole files changed beside
 * it.
 */
import type { WalLevelChange } from '../postgres/wal-level-change.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { recordBarrier } from './gaps.ts'

/**
 * Remembers where WAL of a segment says that what follows cannot be recovered through. Durable when
 * it resolves.
 */
export async function recordMinimal(
  repository: ClusterRepository,
  timeline: number,
  changes: readonly WalLevelChange[],
): Promise<void> {
  for (const { lsn, endLsn, walLevel } of changes) {
    if (walLevel !== 'minimal') continue
    const reason = 'What follows was written under wal_level = minimal: recovery cannot pass it'
    await recordBarrier(repository, { timeline, startLsn: lsn, endLsn }, reason)
  }
}
