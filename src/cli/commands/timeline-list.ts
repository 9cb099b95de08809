/**
 * `backstay timeline list`: the tree of timelines, and where production is in it.
 */
import { defineCommand } from '../define-command.ts'
import { WAL_PLACE_OPTIONS } from './wal-options.ts'

export default defineCommand({
  summary: 'Show the timelines, how they branched and which one production is on',
  description:
    'Ends with 3 when it cannot be told which timeline production is on: `restore latest` asks then as well.',
  options: WAL_PLACE_OPTIONS,
  exits: ['REPOSITORY_MISSING', 'CHECK_FAILED'],
  runsOn: 'backup server',
  load: () => import('../actions/timeline-list.ts'),
})
