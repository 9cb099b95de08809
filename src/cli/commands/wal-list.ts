/**
 * `backstay wal list`: which WAL is held.
 */
import { defineCommand } from '../define-command.ts'
import { WAL_PLACE_OPTIONS } from './wal-options.ts'

export default defineCommand({
  summary: 'Show which WAL is held, as ranges of each timeline',
  options: WAL_PLACE_OPTIONS,
  exits: ['REPOSITORY_MISSING'],
  runsOn: 'backup server',
  load: () => import('../actions/wal-list.ts'),
})
