/**
 * What a retention policy makes of each backup, in Barman's words.
 */
import type { BarmanServer } from '../../config/barman/model.ts'
import { planClusterExpiry } from '../../backup/expire.ts'
import type { CataloguedBackup } from '../../repository/backup-info.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import { policyOf } from './backups.ts'

/** `OBSOLETE*`: kept only because of minimum_redundancy; `-`: there is no policy. */
export type RetentionStatus =
  | 'VALID'
  | 'OBSOLETE'
  | 'OBSOLETE*'
  | 'KEEP:FULL'
  | 'KEEP:STANDALONE'
  | '-'

/** The status of every backup, by id. */
export async function retentionStatuses(
  repository: ClusterRepository,
  server: BarmanServer,
  backups: readonly CataloguedBackup[],
): Promise<ReadonlyMap<string, RetentionStatus>> {
  const policy = policyOf(server)
  const plan = policy === undefined ? undefined : await planClusterExpiry(repository, policy)
  const goes = new Set<string>(plan?.expire.map(({ id }) => id))
  return new Map(
    backups.map(({ info, keep }) => {
      if (keep !== undefined)
        return [info.id, keep.target === 'full' ? 'KEEP:FULL' : 'KEEP:STANDALONE']
      if (plan === undefined) return [info.id, '-']
      const why = plan.stay.find(({ id }) => id === info.id)?.because ?? ''
      if (goes.has(info.id)) return [info.id, 'OBSOLETE']
      return [
        info.id,
        why.endsWith('(minimum)') && isOutside(info.finishedAt) ? 'OBSOLETE*' : 'VALID',
      ]
    }),
  )

  function isOutside(finishedAt: string): boolean {
    const { retention } = server
    if (retention?.kind !== 'window') return false
    return Date.parse(finishedAt) < repository.clock.now() - retention.ms
  }
}
