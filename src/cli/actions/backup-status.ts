/**
 * Tells the state of the repository on this machine.
 */
import type { CommandContext, CommandResult } from '../context.ts'
import { readBackupStatus } from '../session/backup-status.ts'
import { backupOf } from './wal-place.ts'

/** @throws CONFIG_MISSING, CONFIG_INVALID when the file has no backup part */
export async function run(context: CommandContext): Promise<CommandResult> {
  const { wanted } = await context.config()
  const status = await readBackupStatus(wanted, backupOf(wanted), context.clock)
  return { data: status, text: () => JSON.stringify(status, undefined, 2) }
}
