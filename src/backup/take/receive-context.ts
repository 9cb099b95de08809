/**
 * What one receiving is for.
 */
import type { BackupId } from '../../repository/backup-info.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import type { WalAvailability } from '../wal-availability.ts'
import type { BackedUpServer } from './backed-up-server.ts'
import type { ReferenceChoice } from './choose-reference.ts'
import type { TakeBackupOptions } from './take-options.ts'

/** What is received for which backup. */
export interface ReceiveContext {
  readonly options: TakeBackupOptions
  readonly cluster: ClusterRepository
  readonly server: BackedUpServer
  readonly id: BackupId
  readonly choice: ReferenceChoice
  readonly wal: WalAvailability
}
