/**
 * Verifies backups as they lie in the repository, one after the other.
 */
import type { VerifyReport } from '../backup/verify/report.ts'
import { verifyBackup } from '../backup/verify/verify-backup.ts'
import type { BackupId } from '../repository/backup-info.ts'
import { findBackup, readCatalogue } from '../repository/catalogue.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { clearFailedJob } from '../repository/failed-jobs.ts'
import type { Ear } from './ear.ts'

/** Which backups, and how much of them is read. */
export interface VerifyWish {
  /** An id, the beginning of one, a label, `latest` or `oldest`; undefined: all of them. */
  readonly backup: string | undefined
  /** Percent of the data, 1 to 100; which, is another choice each time. */
  readonly samplePercent: number
  /** What was found good in so long a time is not read again; undefined: everything is. */
  readonly sinceMs: number | undefined
}

/** What happens meanwhile. `begun`: one after the other. */
export type VerifyEvent =
  | { readonly kind: 'begun'; readonly id: BackupId }
  | { readonly kind: 'progress'; readonly id: BackupId; readonly bytesRead: number }

/**
 * A report on each, damaged ones as well: what is wrong is in them, and not thrown.
 * @throws {BackstayError} BACKUP_MISSING, USAGE, REPOSITORY_LOCKED, STORE; the signal's reason
 */
export async function verifyBackups(
  repository: ClusterRepository,
  wish: VerifyWish,
  { signal, on }: Ear<VerifyEvent>,
): Promise<readonly VerifyReport[]> {
  const ids = await idsOf(repository, wish.backup)
  const reports: VerifyReport[] = []
  // Several backups share packs: what the first one read need not be read for the next.
  const beganMs = repository.clock.now()
  for (const id of ids) {
    on({ kind: 'begun', id })
    const report = await verifyBackup(repository, id, {
      samplePercent: wish.samplePercent,
      seed: Math.floor(beganMs / 1000),
      sinceMs: beganMs - (wish.sinceMs ?? 0),
      beganMs,
      signal,
      onProgress: ({ bytesRead }) => on({ kind: 'progress', id, bytesRead }),
    })
    reports.push(report)
  }
  const isGood = reports.every((report) => report.isGood)
  if (isGood && wish.backup === undefined) await clearFailedJob(repository, 'verify')
  return reports
}

/** Damaged ones first. */
async function idsOf(
  repository: ClusterRepository,
  wanted: string | undefined,
): Promise<readonly BackupId[]> {
  if (wanted !== undefined) return [(await findBackup(repository, wanted)).info.id]
  const { backups, damaged } = await readCatalogue(repository)
  return [...damaged.map(({ id }) => id), ...backups.map(({ info }) => info.id)]
}
