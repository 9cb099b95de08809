/**
 * Plans a restore where the repository is, without writing a byte.
 */
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { loadSources } from '../restore/load-sources.ts'
import { planRestore, type RestorePlan } from '../restore/plan.ts'
import type { RestoreSources } from '../restore/restore-sources.ts'
import type { RestoreWish } from '../restore/wish.ts'
import type { Ear } from './ear.ts'

/** A plan, and what it was made from. */
export interface PlanInRepository {
  readonly plan: RestorePlan
  readonly sources: RestoreSources
}

/**
 * Reads what the repository holds, and plans.
 * @throws {BackstayError} BACKUP_MISSING, TARGET_UNREACHABLE with the nearest moments that can be
 * reached, REPOSITORY_DAMAGED, STORE; the signal's reason
 */
export async function planInRepository(
  repository: ClusterRepository,
  wish: RestoreWish,
  { signal }: Pick<Ear<never>, 'signal'>,
): Promise<PlanInRepository> {
  const sources = await loadSources(repository, signal)
  return { plan: await planRestore(wish, sources), sources }
}
