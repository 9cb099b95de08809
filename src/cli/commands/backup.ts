/**
 * `backstay backup`: takes a backup.
 */
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'

export const OPTIONS = {
  full: { type: 'flag', help: 'Take every page, even where changed pages would do' },
  label: { type: 'string', value: 'TEXT', help: 'A name for the backup' },
  from: {
    type: 'string',
    value: 'SERVER',
    help: 'Server to take it from, a standby too (default: the primary)',
  },
  rate: { type: 'size', value: 'SIZE', min: 32_768, help: 'At most so many bytes a second' },
  jobs: { type: 'int', value: 'N', min: 1, max: 64, help: 'Compression threads' },
  spread: { type: 'flag', help: 'Wait for a spread checkpoint instead of asking for a fast one' },
} as const satisfies OptionSpecs

export default defineCommand({
  summary: 'Take a backup: changed pages where that is possible, else a full',
  description:
    'Ends when everything the backup needs, its WAL included, is durable in the repository. Every backup restores as a full. Exit code 3 when it holds pages that are damaged on the server. A full that was interrupted is gone on with by the next one: what it had stored is compared with what the server sends, and not stored again.',
  needs: { config: true },
  options: OPTIONS,
  exits: [
    'CHECK_FAILED',
    'REPOSITORY_LOCKED',
    'WAL_UNAVAILABLE',
    'POSTGRES_UNREACHABLE',
    'PARTIAL',
    'DISK_SPACE',
  ],
  examples: [
    'backstay backup',
    'backstay backup --full --label weekly',
    'backstay backup --from db2',
  ],
  runsOn: 'backup server',
  load: () => import('../actions/backup.ts'),
})
