/**
 * `backstay expire`: carries out retention.
 */
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'
import { WAL_PLACE_OPTIONS } from './wal-options.ts'

export const OPTIONS = {
  ...WAL_PLACE_OPTIONS,
  dryRun: { type: 'flag', help: 'Say what would go and why, and change nothing' },
  window: {
    type: 'duration',
    value: 'TIME',
    min: 0,
    help: 'Every moment of the last TIME stays restorable (default: as the cluster file says)',
  },
  count: { type: 'int', value: 'N', min: 1, help: 'The newest N backups stay' },
  minimum: {
    type: 'int',
    value: 'N',
    min: 1,
    help: 'The newest N good backups stay whatever else',
  },
} as const satisfies OptionSpecs

export default defineCommand({
  summary: 'Remove backups and WAL that retention no longer needs',
  options: OPTIONS,
  exits: ['REPOSITORY_LOCKED', 'REPOSITORY_DAMAGED'],
  examples: ['backstay expire --dry-run', 'backstay expire --window 14d --minimum 2'],
  runsOn: 'backup server',
  load: () => import('../actions/expire.ts'),
})
