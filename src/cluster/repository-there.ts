/**
 * The cluster's part of the repository, read on the backup server's machine: the one way in for
 * whoever looks from elsewhere at more than Backstay there would tell.
 */
import { clusterNames, type ClusterNames } from '../repository/format.ts'
import { WalObjects } from '../repository/wal-objects.ts'
import type { Store } from '../store/store.ts'
import type { ClusterContext } from './context.ts'
import { HostStore } from './host-store.ts'
import type { BackupWanted } from './wanted.ts'

/** What is read of it. Whose it is, the caller has looked at, or does not depend on. */
export interface RepositoryThere {
  readonly store: Store
  readonly names: ClusterNames
  readonly wal: WalObjects
}

/**
 * Nothing is read yet.
 * @param segmentBytes as found, where it was; as wanted when left out
 * @throws HOST_UNREACHABLE, HOST_PRIVILEGE
 */
export async function repositoryThere(
  context: Pick<ClusterContext, 'wanted' | 'machineOf'>,
  backup: BackupWanted,
  segmentBytes: number = context.wanted.postgres.segmentBytes,
): Promise<RepositoryThere> {
  const { host } = await context.machineOf(backup)
  const store = new HostStore(host, backup.repository)
  const names = clusterNames(context.wanted.name)
  return { store, names, wal: new WalObjects(store, names, segmentBytes) }
}
