/**
 * Copies one backup from the primary Barman.
 */
import { isBackstayError } from '../../errors/backstay-error.ts'
import { pairUp } from '../passive/pair-up.ts'
import { syncBackup } from '../passive/sync.ts'
import type { BarmanContext } from '../context.ts'
import { passiveServer } from '../server/passive-server.ts'
import { backupsOf } from '../server/backups.ts'

/**
 * @throws {BackstayError} HOST_COMMAND, WAL_UNAVAILABLE, POSTGRES_IDENTITY, REPOSITORY_DAMAGED,
 * DISK_SPACE, STORE
 */
export async function run(context: BarmanContext): Promise<void> {
  const { output, words } = context
  const id = words[1] ?? ''
  const server = passiveServer(context, 'sync-backup')
  if (server === undefined) return
  if ((await backupsOf(context, server)).some(({ info }) => info.id === id)) {
    return output.info(`Backup ${id} is already synced with ${server.name} server`)
  }
  try {
    await using pair = await pairUp(context, server)
    const backup = pair.missing.find(({ info }) => info.id === id)
    if (backup === undefined) {
      return output.error(`Unknown backup '${id}' for server '${server.name}' on its primary`)
    }
    await syncBackup(pair, backup)
    output.info(`Backup ${id} is copied from the primary of server ${server.name}`)
  } catch (error) {
    if (!isBackstayError(error, 'REPOSITORY_LOCKED')) throw error
    output.error(`Another backup of server ${server.name} is being copied, or work is done on it`)
  }
}
