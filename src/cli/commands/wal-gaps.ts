/**
 * `backstay wal gaps`: which WAL is missing.
 */
import { defineCommand } from '../define-command.ts'
import { WAL_PLACE_OPTIONS } from './wal-options.ts'

export default defineCommand({
  summary: 'Show which WAL is missing between what is held',
  description:
    'Ends with 3 when there is a gap: no backup before it can be rolled forward across it. A repository of an earlier version is read whole once, to find WAL that was written under wal_level = minimal.',
  options: WAL_PLACE_OPTIONS,
  exits: ['REPOSITORY_MISSING', 'CHECK_FAILED'],
  runsOn: 'backup server',
  load: () => import('../actions/wal-gaps.ts'),
})
