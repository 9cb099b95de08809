/**
 * `backstay backup-status`: what `status` asks the backup server when its repository is on another machine.
 */
import { defineCommand } from '../define-command.ts'

export default defineCommand({
  summary: 'Show the state of backups and receiver from the repository on this machine',
  hidden: true,
  needs: { config: true },
  examples: ['backstay backup-status --json'],
  load: () => import('../actions/backup-status.ts'),
})
