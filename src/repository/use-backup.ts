/**
 * Reading a backup for a while: as long as it is in use nobody deletes it.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import type { BackupId } from './backup-info.ts'
import type { ClusterRepository } from './cluster-repository.ts'
import { type HeldLock, takeLock } from './lock.ts'

/** The lock of one backup: shared by its readers, exclusive for its deletion. */
export function backupLockName(id: BackupId): string {
  return `backup-${id}`
}

/**
 * Marks a backup as being read until disposed; take it before its manifest is opened. `purpose` for
 * people: `restore into "/srv/x"`.
 * @throws {BackstayError} REPOSITORY_LOCKED while it is being deleted.
 */
export function useBackup(
  cluster: ClusterRepository,
  id: BackupId,
  purpose: string,
): Promise<HeldLock> {
  return takeLock(cluster, { name: backupLockName(id), mode: 'shared', purpose })
}

/** The longest a hold may be asked for: whoever forgets it does not fill the disk for ever. */
const HOLD_MAX_MS = 30 * 86_400_000

/** A hold and how long. `purpose` for people: `recovery of "/srv/x"`. */
export interface HoldWish {
  readonly purpose: string
  readonly forMs: number
}

/**
 * Holds a backup, and with it the WAL after it, for a recovery that goes on without Backstay. It
 * outlives this process and ends at its time; disposing ends it before.
 * @throws {BackstayError} USAGE for too long a time, REPOSITORY_LOCKED while it is being deleted.
 */
export async function holdBackup(
  cluster: ClusterRepository,
  id: BackupId,
  { purpose, forMs }: HoldWish,
): Promise<HeldLock> {
  checkHoldTime(id, forMs)
  const until = new Date(cluster.clock.now() + forMs).toISOString()
  return await takeLock(cluster, { name: backupLockName(id), mode: 'shared', purpose, until })
}

/** @throws {BackstayError} USAGE when `forMs` is not above zero, or is more than 30 days */
export function checkHoldTime(id: BackupId, forMs: number): void {
  if (forMs > 0 && forMs <= HOLD_MAX_MS) return
  throw new BackstayError('USAGE', `Cannot hold backup ${id} for ${forMs} ms`, {
    hint: 'A hold lasts at most 30 days; `backstay keep` keeps a backup longer.',
  })
}
