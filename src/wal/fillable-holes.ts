/**
 * Holes in what is held that a server may still be able to fill: somebody else stored later WAL
 * while nobody received (a backup that fetched its own, an archive_command), or a received segment
 * was damaged and set aside.
 */
import { isBackstayError } from '../errors/backstay-error.ts'
import { isAncestor, switchPointOf, type TimelineHistory } from '../postgres/timeline.ts'
import { listBackups } from '../repository/catalogue.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { listGaps } from './gaps.ts'
import { loadContinuity } from './load-continuity.ts'
import { loadLosses } from './losses.ts'
import { without } from './released-wal.ts'
import type { WalRange } from './wal-position.ts'

/**
 * The holes on the way to `history.timeline` that matter and are not recorded as lost, oldest
 * first. None while the repository cannot tell (something in it is damaged): then receiving goes on
 * at the end of what is held.
 */
export async function findFillableHoles(
  repository: ClusterRepository,
  history: TimelineHistory,
): Promise<readonly WalRange[]> {
  try {
    const map = await loadContinuity(repository)
    const backups = (await listBackups(repository)).map(({ info }) => info)
    const losses = await loadLosses(repository, map, backups)
    return without(losses, await listGaps(repository)).filter(({ timeline, endLsn }) => {
      const leftLsn = switchPointOf(history, timeline)
      return isAncestor(history, timeline) && (leftLsn === undefined || endLsn <= leftLsn)
    })
  } catch (error) {
    if (isBackstayError(error, 'REPOSITORY_DAMAGED')) return []
    throw error
  }
}
