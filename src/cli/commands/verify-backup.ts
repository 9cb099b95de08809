/**
 * `backstay verify-backup`: reads backups as they lie in the repository and checks every checksum.
 */
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec, OptionSpecs } from '../option-spec.ts'
import { WAL_PLACE_OPTIONS } from './wal-options.ts'

export const ARGUMENTS = [
  {
    name: 'backup',
    help: 'Id, beginning of an id, label, latest or oldest (default: all of them)',
    optional: true,
  },
] as const satisfies readonly ArgumentSpec[]

export const OPTIONS = {
  ...WAL_PLACE_OPTIONS,
  sample: {
    type: 'int',
    value: 'PERCENT',
    min: 1,
    max: 100,
    default: 100,
    help: 'Read only so many percent of the data, others each time',
  },
  since: {
    type: 'duration',
    value: 'TIME',
    min: 0,
    help: 'Do not read again what was found good in the last TIME',
  },
} as const satisfies OptionSpecs

export default defineCommand({
  summary: 'Read backups and check every checksum, and that their WAL is there',
  options: OPTIONS,
  arguments: ARGUMENTS,
  exits: ['BACKUP_MISSING', 'REPOSITORY_DAMAGED', 'REPOSITORY_MISSING'],
  examples: [
    'backstay verify-backup latest',
    'backstay verify-backup --sample 10',
    'backstay verify-backup --since 7d',
  ],
  runsOn: 'backup server',
  load: () => import('../actions/verify-backup.ts'),
})
