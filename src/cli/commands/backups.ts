/**
 * `backstay backups`: the catalogue.
 */
import { defineCommand } from '../define-command.ts'
import { WAL_PLACE_OPTIONS } from './wal-options.ts'

export default defineCommand({
  summary: 'List the backups and the moments that can be restored',
  options: WAL_PLACE_OPTIONS,
  exits: ['REPOSITORY_MISSING', 'REPOSITORY_DAMAGED'],
  examples: ['backstay backups', 'backstay backups --json | jq -r .backups[0].id'],
  runsOn: 'backup server',
  load: () => import('../actions/backups.ts'),
})
