/**
 * What a retention policy makes of each backup, in Barman's words.
 */
import type { BarmanServer } from '../../config/barman/model.ts'
import { planClusterExpiry } from '../../backup/expire.ts'
import type { RetentionPolicy } from '../../backup/retention.ts'
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
  if (policy === undefined) return new Map(backups.map((each) => [each.info.id, keptOr(each, '-')]))
  const stays = await stayingWith(repository, policy)
  // What would go if a window alone decided stays because of minimum_redundancy only; a count is
  // never less than that.
  const isWindow = server.retention?.kind === 'window'
  const needed = isWindow ? await stayingWith(repository, { ...policy, minimum: 1 }) : stays
  return new Map(
    backups.map((each) => {
      const { id } = each.info
      if (!stays.has(id)) return [id, keptOr(each, 'OBSOLETE')]
      return [id, keptOr(each, needed.has(id) ? 'VALID' : 'OBSOLETE*')]
    }),
  )
}

async function stayingWith(
  repository: ClusterRepository,
  policy: RetentionPolicy,
): Promise<ReadonlySet<string>> {
  const { stay } = await planClusterExpiry(repository, policy)
  return new Set(stay.map(({ id }) => id))
}

function keptOr({ keep }: CataloguedBackup, status: RetentionStatus): RetentionStatus {
  if (keep === undefined) return status
  return keep.target === 'full' ? 'KEEP:FULL' : 'KEEP:STANDALONE'
}
