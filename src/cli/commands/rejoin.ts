/**
 * `backstay rejoin`: a server follows the primary again.
 */
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec, OptionSpecs } from '../option-spec.ts'

export const ARGUMENTS = [
  { name: 'server', help: 'Name of the server in the cluster file' },
] as const satisfies readonly ArgumentSpec[]

export const OPTIONS = {
  yes: { type: 'flag', help: 'Stop it without asking when it runs as a second primary' },
} as const satisfies OptionSpecs

export default defineCommand({
  summary: 'Make a former primary or a lost standby follow again',
  description: `Tries what is cheapest first: go on from where it is, with WAL from the backup server when the primary has it no more; wind it back with pg_rewind; clone it anew. What may hold commits that nobody else has is kept beside it. Run again after an interruption, it goes on.`,
  options: OPTIONS,
  arguments: ARGUMENTS,
  needs: { config: true },
  exits: [
    'PRIMARY_MISSING',
    'SPLIT_BRAIN',
    'DIRECTORY_FOREIGN',
    'UNFINISHED',
    'NEEDS_CONFIRMATION',
    'DISK_SPACE',
    'REPOSITORY_LOCKED',
    'PARTIAL',
  ],
  examples: ['backstay rejoin db1'],
  load: () => import('../actions/rejoin.ts'),
})
