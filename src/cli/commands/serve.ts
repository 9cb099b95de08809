/**
 * `backstay serve`: the daemon.
 */
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'
import { OPTIONS as RECEIVE_OPTIONS } from './wal-receive.ts'

export const OPTIONS = {
  logLevel: RECEIVE_OPTIONS.logLevel,
  unit: { type: 'flag', help: 'Print a systemd unit for this cluster file and end' },
} as const satisfies OptionSpecs

export default defineCommand({
  summary: 'Run the backup server: WAL receiver, schedule, retention',
  description: `Keeps the WAL receiver running, takes and expires backups as the schedule says, and serves WAL to recoveries on this machine.
Logs JSON lines to standard error. Runs until it is interrupted; SIGHUP ends it only where it was started at a terminal, and makes it read nothing anew.`,
  needs: { config: true },
  options: OPTIONS,
  staysOnHangup: true,
  exits: ['REPOSITORY_LOCKED'],
  examples: ['backstay serve', 'backstay serve --unit > /etc/systemd/system/backstay.service'],
  load: () => import('../actions/serve.ts'),
})
