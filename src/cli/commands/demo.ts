/**
 * `backstay demo`: everything Backstay does, on this machine, in one go.
 */
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'

export const OPTIONS = {
  once: { type: 'flag', help: 'Show everything, stop the servers and end' },
  directory: {
    type: 'string',
    value: 'DIR',
    help: 'Where it lives (default: ./backstay-demo; where others could write there, a place of your own)',
  },
  postgres: {
    type: 'int',
    value: 'MAJOR',
    min: 11,
    max: 18,
    help: 'Major version of PostgreSQL (default: 18)',
  },
  port: {
    type: 'int',
    value: 'N',
    min: 1024,
    max: 65_533,
    help: 'The primary’s port; the next two are used as well (default: 25432 or the next free ones)',
  },
} as const satisfies OptionSpecs

export default defineCommand({
  summary: 'Show a primary, a standby and a backup server at work on this machine',
  description: `Builds them on loopback, proves replication with a row, takes a backup, restores it to the latest moment and finds the
row again. Stays until Ctrl-C, which stops everything; started again, it goes on with what is there.`,
  options: OPTIONS,
  exits: ['BINARIES_MISSING', 'PORT_IN_USE', 'DIRECTORY_FOREIGN', 'HOST_PRIVILEGE'],
  examples: ['backstay demo', 'backstay demo --once --directory /var/tmp/look'],
  load: () => import('../actions/demo.ts'),
})
