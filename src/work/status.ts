/**
 * How everything is, the backup side included, wherever it is.
 */
import type { ClusterContext } from '../cluster/context.ts'
import { askBackupStatus } from '../report/ask-backup-status.ts'
import { clusterStatus, type ClusterStatus } from '../report/status.ts'

/**
 * @throws {BackstayError} NOT_READY where the cluster is not known here; what does not answer is
 * told.
 */
export async function status(place: ClusterContext): Promise<ClusterStatus> {
  return await clusterStatus(place, askBackupStatus)
}
