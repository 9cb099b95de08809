/**
 * `backstay forget`: takes away what was made of a server that the cluster file has no more.
 */
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec, OptionSpecs } from '../option-spec.ts'

export const ARGUMENTS = [
  {
    name: 'server',
    help: 'Name it had in the cluster file; the backup server’s for the backup part',
  },
] as const satisfies readonly ArgumentSpec[]

export const OPTIONS = {
  removeData: { type: 'flag', help: 'Remove its data directory as well, for good' },
  hostIsLost: { type: 'flag', help: 'Its machine is gone: do nothing there' },
  yes: { type: 'flag', help: 'Do it without asking' },
} as const satisfies OptionSpecs

export default defineCommand({
  summary: 'Take away what was made of a server that is no longer in the cluster file',
  description: `Stops it, removes its service, drops its slot on the primary, closes its way into the repository. For the backup part: its service and slot, and login and password of its roles. Its data stay unless --remove-data is said, a repository always does. plan says what there is to forget.`,
  options: OPTIONS,
  arguments: ARGUMENTS,
  needs: { config: true },
  exits: [
    'NEEDS_CONFIRMATION',
    'NOT_READY',
    'HOST_UNREACHABLE',
    'POSTGRES_IDENTITY',
    'UNFINISHED',
    'REPOSITORY_LOCKED',
  ],
  examples: ['backstay forget db3', 'backstay forget db3 --remove-data', 'backstay forget vault'],
  load: () => import('../actions/forget.ts'),
})
