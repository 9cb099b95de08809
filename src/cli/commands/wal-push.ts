/**
 * `backstay wal push`: archive_command.
 */
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec } from '../option-spec.ts'
import { WAL_PLACE_OPTIONS } from './wal-options.ts'

export const ARGUMENTS = [
  { name: 'path', help: 'The file (%p), or - for standard input' },
  { name: 'name', help: 'Name of the WAL file (%f) when the path does not say it', optional: true },
] as const satisfies readonly ArgumentSpec[]

export default defineCommand({
  summary: 'Store a WAL file (archive_command)',
  description: `Proves that the file is the segment its name says, of this cluster, before it is stored. The same content again is fine;
other content under the same name is an error and changes nothing.`,
  options: WAL_PLACE_OPTIONS,
  arguments: ARGUMENTS,
  exits: ['WAL_CONFLICT', 'WAL_INVALID', 'REPOSITORY_MISSING', 'STORE'],
  examples: [
    `archive_command = 'backstay wal push --repository /var/lib/backstay --cluster shop "%p"'`,
    `archive_command = 'ssh vault backstay wal push - "%f" < "%p"'`,
  ],
  load: () => import('../actions/wal-push.ts'),
})
