/**
 * Runs every check, the backup side's included, wherever it is.
 */
import type { ClusterContext } from '../cluster/context.ts'
import { askBackupStatus } from '../report/ask-backup-status.ts'
import { checkCluster } from '../report/check.ts'
import type { Finding } from '../report/checks/finding.ts'

/** What does not answer is a finding; throws only for bugs and interruption. */
export async function check(place: ClusterContext): Promise<readonly Finding[]> {
  return await checkCluster(place, askBackupStatus)
}
