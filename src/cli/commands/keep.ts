/**
 * `backstay keep`: protects a backup from expiring, or ends that.
 */
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'
import { ARGUMENTS } from './show.ts'
import { WAL_PLACE_OPTIONS } from './wal-options.ts'

export { ARGUMENTS }

export const OPTIONS = {
  ...WAL_PLACE_OPTIONS,
  release: { type: 'flag', help: 'End keeping it' },
  reason: { type: 'string', value: 'TEXT', help: 'Why it is kept' },
  target: {
    type: 'choice',
    value: 'WHAT',
    choices: ['standalone', 'full'],
    default: 'standalone',
    help: 'What stays with it: standalone, the WAL that makes it consistent; full, all WAL after it',
  },
} as const satisfies OptionSpecs

export default defineCommand({
  summary: 'Keep a backup from expiring',
  options: OPTIONS,
  arguments: ARGUMENTS,
  exits: ['BACKUP_MISSING', 'REPOSITORY_MISSING'],
  examples: [
    'backstay keep latest --reason "before the migration"',
    'backstay keep 20261122T084545 --release',
  ],
  runsOn: 'backup server',
  load: () => import('../actions/keep.ts'),
})
