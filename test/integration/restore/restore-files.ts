/**
 * Steps that the restore's tests share: plan, prepare and run into a directory, with everything open to the unprivileged user.
 */
import type { BackupInfo } from '../../../src/repository/backup-info.ts'
import { listBackups } from '../../../src/repository/catalogue.ts'
import type { ClusterRepository } from '../../../src/repository/cluster-repository.ts'
import { LocalHost } from '../../../src/host/local-host.ts'
import type { ReplayDemands } from '../../../src/postgres/parameter-change.ts'
import { planRestore, type RestorePlan } from '../../../src/restore/plan.ts'
import { type PreparedRestore, prepareRestore } from '../../../src/restore/prepare.ts'
import { type RestoreAround, type RestoreResult, runRestore } from '../../../src/restore/restore.ts'
import { readingOf } from '../../../src/restore/wal-reading.ts'
import type { RestoreWish } from '../../../src/restore/wish.ts'
import { systemClock } from '../../../src/util/clock.ts'
import type { ContinuityMap } from '../../../src/wal/continuity.ts'
import { loadContinuity } from '../../../src/wal/load-continuity.ts'
import { readWalFile } from '../../../src/wal/read-wal-file.ts'
import type { TestServer } from '../../harness/postgres.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { until } from '../../harness/until.ts'

export const host = new LocalHost('localhost')

/** Who is to own restored files in tests. */
export const owner = isRoot ? unprivilegedUser : undefined

/** How a test restores. */
export interface TestRestore extends Partial<RestoreWish> {
  readonly directory: string
  readonly restoreCommand?: string
  readonly tablespaces?: ReadonlyMap<string, string>
  readonly demands?: ReplayDemands | undefined
  readonly tablespaceRoots?: readonly string[]
  readonly walDirectory?: string
  readonly isDelta?: boolean
  readonly port?: number
  readonly allowDataLoss?: boolean
  readonly copiesWal?: boolean
  readonly map?: ContinuityMap
  readonly currentAtUs?: bigint
  readonly onPhase?: RestoreAround['onPhase']
  readonly signal?: AbortSignal
}

/** Plans with what the repository holds. */
export async function plan(
  repository: ClusterRepository,
  wish: Partial<RestoreWish> & { map?: ContinuityMap; currentAtUs?: bigint },
): Promise<RestorePlan> {
  const backups: BackupInfo[] = (await listBackups(repository)).map(({ info }) => info)
  const map = wish.map ?? (await loadContinuity(repository))
  const wal = readingOf({
    map,
    major: repository.identity.major,
    readSegment: async (name) => (await readWalFile(repository, name))?.content,
  })
  return await planRestore(
    {
      backup: 'latest',
      target: { type: 'none' },
      timeline: 'latest',
      action: 'promote',
      standbyMode: false,
      ...wish,
    },
    { cluster: 'shop', backups, map, wal, currentAtUs: wish.currentAtUs },
  )
}

/** Plans and prepares. */
export async function prepare(
  repository: ClusterRepository,
  wish: TestRestore,
): Promise<PreparedRestore> {
  const map = wish.map ?? (await loadContinuity(repository))
  const order = {
    plan: await plan(repository, { ...wish, map }),
    directory: wish.directory,
    tablespaces: wish.tablespaces ?? new Map(),
    tablespaceRoots: wish.tablespaceRoots ?? [],
    walDirectory: wish.walDirectory,
    isDelta: wish.isDelta ?? false,
    allowDataLoss: wish.allowDataLoss ?? false,
    copiesWal: wish.copiesWal ?? false,
  }
  return await prepareRestore(order, { repository, host, map })
}

/** The whole restore. */
export async function restore(
  repository: ClusterRepository,
  wish: TestRestore,
): Promise<RestoreResult> {
  const prepared = await prepare(repository, wish)
  return await runRestore(prepared, {
    repository,
    clock: systemClock,
    demands: wish.demands,
    recovery: {
      restoreCommand: wish.restoreCommand ?? 'false',
      keepArchiving: false,
      port: wish.port,
    },
    owner,
    workers: 2,
    ...(wish.onPhase === undefined ? {} : { onPhase: wish.onPhase }),
    signal: wish.signal,
  })
}

/** Resolves when an opened restore has come to the end of recovery and accepts writes. */
export async function untilPromoted(server: TestServer): Promise<void> {
  await until('the restored server to be promoted', async () => {
    const [row] = await server.query('SELECT pg_is_in_recovery() AS recovering')
    return row?.['recovering'] === false
  })
}
