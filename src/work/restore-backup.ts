/**
 * Restores a planned backup into a directory, from a repository here or at the other end of a pipe.
 */
import { availableParallelism } from 'node:os'
import type { ReplayDemands } from '../postgres/parameter-change.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { useBackup } from '../repository/use-backup.ts'
import type { Host } from '../host/host.ts'
import type { RestorePlan } from '../restore/plan.ts'
import { type PreparedRestore, prepareRestore, type RestoreOrder } from '../restore/prepare.ts'
import { surveyDemands } from '../restore/replay-demands.ts'
import type { RestoreSources } from '../restore/restore-sources.ts'
import {
  type RestoreAround,
  type RestorePhase,
  type RestoreResult,
  runRestore,
} from '../restore/restore.ts'
import type { Clock } from '../util/clock.ts'
import type { WriteProgress } from '../restore/feed-workers.ts'
import type { Ear } from './ear.ts'

/** The disk is the limit soon, and each thread takes some 50 MB. */
const MOST_JOBS = 4

/** Where the backup is, and the machine it goes to. */
export interface RestorePlace {
  readonly repository: ClusterRepository
  readonly map: RestoreSources['map']
  /** This machine, as whoever writes the files. */
  readonly host: Host
  readonly clock: Clock
  /** Keeps the backup from being deleted until it is disposed. */
  readonly use: (purpose: string) => Promise<AsyncDisposable>
  /** What the WAL demands that will be replayed. */
  readonly demands: (signal: AbortSignal) => Promise<ReplayDemands | undefined>
}

/** What is restored where to (`order`), and what is put into the directory besides the backup. */
export interface RestoreBackupWish extends Pick<
  RestoreAround,
  'recovery' | 'configure' | 'copiesWal' | 'standIns' | 'owner'
> {
  readonly order: RestoreOrder
  /** Threads that write. Default: as many as there are processors, 4 at most. */
  readonly jobs: number | undefined
  /** Besides, when the backup is held and before anything is written. */
  readonly beforehand?: () => Promise<AsyncDisposable>
}

/** What is told while it runs: bytes and files so far, and each step as it begins. */
export type RestoreEvent =
  | ({ readonly kind: 'progress' } & WriteProgress)
  | { readonly kind: 'phase'; readonly phase: RestorePhase }

/** The restore as it was prepared under the lock, and what carrying it out did. */
export interface RestoredBackup {
  readonly prepared: PreparedRestore
  readonly result: RestoreResult
}

/** A repository of this machine. */
export function localPlace(
  place: Pick<RestorePlace, 'repository' | 'map' | 'host' | 'clock'>,
  plan: RestorePlan,
): RestorePlace {
  const { repository } = place
  return {
    ...place,
    use: async (purpose) => useBackup(repository, plan.backup.id, purpose),
    demands: async (signal) => surveyDemands(repository, plan, signal),
  }
}

/**
 * Restores. It is prepared under the lock, again where the plan was shown before: the backup may
 * have been deleted since.
 * @throws {BackstayError} what `prepareRestore` and `runRestore` throw, REPOSITORY_LOCKED; the
 * signal's reason.
 */
export async function restoreBackup(
  place: RestorePlace,
  wish: RestoreBackupWish,
  { signal, on }: Ear<RestoreEvent>,
): Promise<RestoredBackup> {
  const { order, jobs, beforehand, ...around } = wish
  const { repository, host, map, clock } = place
  await using _used = await place.use(
    `restoring backup ${order.plan.backup.id} into "${order.directory}"`,
  )
  const prepared = await prepareRestore(order, { repository, host, map })
  await using _beside = await beforehand?.()
  const result = await runRestore(prepared, {
    ...around,
    repository,
    clock,
    demands: await place.demands(signal),
    workers: jobs ?? Math.min(MOST_JOBS, availableParallelism()),
    signal,
    onProgress: (progress) => on({ kind: 'progress', ...progress }),
    onPhase: (phase) => on({ kind: 'phase', phase }),
  })
  return { prepared, result }
}
