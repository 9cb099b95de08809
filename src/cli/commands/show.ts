/**
 * `backstay show`: one backup.
 */
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec } from '../option-spec.ts'
import { WAL_PLACE_OPTIONS } from './wal-options.ts'

export const ARGUMENTS = [
  { name: 'backup', help: 'Id, beginning of an id, label, latest or oldest' },
] as const satisfies readonly ArgumentSpec[]

export default defineCommand({
  summary: 'Show what a backup is and from when to when it can be rolled forward',
  options: WAL_PLACE_OPTIONS,
  arguments: ARGUMENTS,
  exits: ['BACKUP_MISSING', 'REPOSITORY_MISSING'],
  examples: ['backstay show latest', 'backstay show 20261122T084545 --json'],
  runsOn: 'backup server',
  load: () => import('../actions/show.ts'),
})
