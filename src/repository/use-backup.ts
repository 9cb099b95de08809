/**
 * Reading a backup for a while: as long as it is in use nobody deletes it.
 */
import type { BackupId } from './backup-info.ts'
import type { ClusterRepository } from './cluster-repository.ts'
import { type HeldLock, takeLock } from './lock.ts'

/** The lock of one backup: shared by its readers, exclusive for its deletion. */
export function backupLockName(id: BackupId): string {
  return `backup-${id}`
}

/**
 * Marks a backup as being read until disposed; take it before its manifest is opened. `purpose` for people: `restore into "/srv/x"`.
 * @throws {BackstayError} REPOSITORY_LOCKED while it is being deleted.
 */
export function useBackup(
  cluster: ClusterRepository,
  id: BackupId,
  purpose: string,
): Promise<HeldLock> {
  return takeLock(cluster, { name: backupLockName(id), mode: 'shared', purpose })
}
