/**
 * What hook scripts are told of a backup.
 */
import { join } from 'node:path'
import type { BarmanServer } from '../../config/barman/model.ts'
import type { BackupId, CataloguedBackup } from '../../repository/backup-info.ts'
import type { BarmanContext } from '../context.ts'
import { placeOf } from './barman-place.ts'

/**
 * Of backup `id` among `all`, newest first; without an id, what is known before a backup begins.
 */
export function backupVariables(
  context: BarmanContext,
  server: BarmanServer,
  about: { readonly id: BackupId | undefined; readonly all: readonly CataloguedBackup[] },
): Record<string, string> {
  const { id, all } = about
  const { store, names } = placeOf(context, server)
  const at = all.findIndex(({ info }) => info.id === id)
  // A backup that is not listed yet is newer than all that are.
  const older = at < 0 ? all[0] : all[at + 1]
  const newer = at < 1 ? undefined : all[at - 1]
  return {
    BARMAN_BACKUP_DIR: id === undefined ? '' : join(store.location, names.backupFolder(id)),
    BARMAN_BACKUP_INFO_PATH: id === undefined ? '' : join(store.location, names.backupInfo(id)),
    BARMAN_BACKUP_ID: id ?? '',
    BARMAN_PREVIOUS_ID: older?.info.id ?? '',
    BARMAN_NEXT_ID: newer?.info.id ?? '',
    BARMAN_STATUS: id === undefined ? 'EMPTY' : 'DONE',
  }
}
