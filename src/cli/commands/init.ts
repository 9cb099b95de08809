/**
 * `backstay init`: writes a cluster file from answers or options.
 */
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'

export const initOptions = {
  cluster: { type: 'string', value: 'NAME', help: 'Name of the cluster (default: main)' },
  postgres: {
    type: 'int',
    value: 'MAJOR',
    min: 11,
    max: 18,
    help: 'Major version of PostgreSQL (default: 18)',
  },
  primary: { type: 'string', value: 'HOST[:PORT]', help: 'Machine of the primary' },
  standby: { type: 'list', value: 'HOST[:PORT]', help: 'Machine of a standby' },
  backupHost: { type: 'string', value: 'HOST', help: 'Machine of the backup server' },
  repository: { type: 'string', value: 'DIR', help: 'Directory of the repository there' },
  directory: { type: 'string', value: 'DIR', help: 'Data directory of the servers' },
  output: {
    type: 'string',
    value: 'FILE',
    default: 'backstay.yaml',
    help: 'The file to write; an existing one is not overwritten',
  },
} as const satisfies OptionSpecs

export default defineCommand({
  summary: 'Write a cluster file, by asking or from options',
  description:
    'Writes a cluster file. On a terminal it asks for what no option says; elsewhere --primary is needed and the rest has defaults.',
  options: initOptions,
  exits: ['CONFIG_INVALID'],
  examples: [
    'backstay init',
    'backstay init --cluster shop --primary 192.168.100.10 --standby 192.168.100.11 --backup-host 192.168.100.12',
  ],
  load: () => import('../actions/init.ts'),
})
