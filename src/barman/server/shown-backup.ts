/**
 * Everything show-backup says of one backup, as values.
 */
import type { BarmanServer } from '../../config/barman/model.ts'
import type { CataloguedBackup } from '../../repository/backup-info.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import { type FoundBackup } from './backups.ts'
import { type RetentionStatus, retentionStatuses } from './retention-status.ts'
import { heldSegments, type WalCount, walOfBackup } from './wal-of-backup.ts'

/** A backup with its neighbours and its WAL. */
export interface ShownBackup extends CataloguedBackup {
  readonly retention: RetentionStatus
  readonly own: WalCount
  readonly after: WalCount
  readonly older: string | undefined
  readonly newer: string | undefined
  /** Timelines after the backup's own that are held. */
  readonly timelines: readonly number[]
}

/** Gathers it. @throws {BackstayError} STORE */
export async function showBackup(server: BarmanServer, found: FoundBackup): Promise<ShownBackup> {
  const { repository, backup, all } = found
  const at = all.findIndex(({ info }) => info.id === backup.info.id)
  const newer = all[at - 1]
  const statuses = await retentionStatuses(repository, server, all)
  const { own, after } = walOfBackup(backup.info, newer?.info, await heldSegments(repository))
  return {
    ...backup,
    retention: statuses.get(backup.info.id) ?? '-',
    own,
    after,
    older: all[at + 1]?.info.id,
    newer: newer?.info.id,
    timelines: await laterTimelines(repository, backup.info.timeline),
  }
}

async function laterTimelines(repository: ClusterRepository, own: number): Promise<number[]> {
  const held = await repository.wal.listTimelines()
  return held.map((name) => Number.parseInt(name, 16)).filter((timeline) => timeline > own)
}
