/**
 * `backstay wal get`: restore_command.
 */
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec, OptionSpecs } from '../option-spec.ts'
import { WAL_PLACE_OPTIONS, WAY_OPTION } from './wal-options.ts'

export const OPTIONS = {
  ...WAL_PLACE_OPTIONS,
  ...WAY_OPTION,
  standby: {
    type: 'flag',
    help: 'Errors count as «not there» (exit 1): a standby asks again and can stream meanwhile',
  },
} as const satisfies OptionSpecs

export const ARGUMENTS = [
  { name: 'file', help: 'Name of the WAL file (%f)' },
  { name: 'target', help: 'Where to put it (%p), or - for standard output' },
] as const satisfies readonly ArgumentSpec[]

export default defineCommand({
  summary: 'Fetch a WAL file for recovery (restore_command)',
  description: `Finds finished segments, history files, unfinished segments of dead timelines, and what the receiver has of the present one.
Exit status for PostgreSQL: 0 fetched, 1 not there, 126 recovery must stop (without --standby).`,
  options: OPTIONS,
  arguments: ARGUMENTS,
  exits: ['WAL_MISSING'],
  examples: [
    `restore_command = 'backstay wal get --repository /var/lib/backstay --cluster shop "%f" "%p"'`,
  ],
  load: () => import('../actions/wal-get.ts'),
})
