/**
 * `backstay delete`: removes one backup and what only it needs.
 */
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'
import { ARGUMENTS } from './show.ts'
import { WAL_PLACE_OPTIONS } from './wal-options.ts'

export { ARGUMENTS }

export const OPTIONS = {
  ...WAL_PLACE_OPTIONS,
  yes: { type: 'flag', help: 'Delete it; without this nothing is done' },
} as const satisfies OptionSpecs

export default defineCommand({
  summary: 'Delete a backup, and the WAL that no other backup needs',
  options: OPTIONS,
  arguments: ARGUMENTS,
  exits: ['BACKUP_MISSING', 'BACKUP_NEEDED', 'REPOSITORY_LOCKED', 'NEEDS_CONFIRMATION'],
  examples: ['backstay delete 20261122T084545 --yes'],
  runsOn: 'backup server',
  load: () => import('../actions/delete.ts'),
})
