/**
 * `backstay backup-status`: what `status` asks the backup server when its repository is on another
 * machine.
 */
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import { readBackupStatus } from '../../report/read-backup-status.ts'
import { backupOf } from '../session/wal-place.ts'

export default defineCommand({
  needs: { config: true },
  examples: ['backstay backup-status --json'],
  run,
})

/** @throws CONFIG_MISSING, CONFIG_INVALID when the file has no backup part */
async function run(context: CommandContext): Promise<CommandResult> {
  const { wanted } = await context.config()
  const status = await readBackupStatus(wanted, backupOf(wanted), context.clock)
  return { data: status, text: () => JSON.stringify(status, undefined, 2) }
}
