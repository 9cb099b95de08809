/**
 * `backstay up`: makes the cluster so.
 */
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'

export const OPTIONS = {} as const satisfies OptionSpecs

export default defineCommand({
  summary: 'Make the cluster as the cluster file says',
  description: `Builds what is missing and repairs what differs: settings, access lines, roles, slots, standbys. What is yours stays. Where the backup server is this machine, and systemd runs there, root’s up makes a service of backstay serve. Run again after an interruption, it goes on; run again after success, it finds nothing to do.`,
  options: OPTIONS,
  needs: { config: true },
  exits: [
    'PORT_IN_USE',
    'DIRECTORY_FOREIGN',
    'DIRECTORY_OWNER',
    'DISK_SPACE',
    'BINARIES_MISSING',
    'POSTGRES_VERSION',
    'POSTGRES_IDENTITY',
    'POSTGRES_LIMIT',
    'REPOSITORY_LOCKED',
  ],
  examples: ['backstay up'],
  load: () => import('../actions/up.ts'),
})
