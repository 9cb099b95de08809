/**
 * `backstay import barman`: brings in what Barman has kept.
 */
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec, OptionSpecs } from '../option-spec.ts'

export const ARGUMENTS = [
  {
    name: 'servers',
    help: 'Servers of the configuration (default: all)',
    optional: true,
    rest: true,
  },
] as const satisfies readonly ArgumentSpec[]

export const OPTIONS = {
  repository: {
    type: 'string',
    value: 'DIR',
    help: "Import into this repository (default: that of Backstay's barman)",
  },
  cluster: {
    type: 'string',
    value: 'NAME',
    help: "Cluster in the repository (default: the server's name)",
  },
  barmanConfig: {
    type: 'string',
    value: 'FILE',
    help: "Barman's configuration (default: where Barman looks for it)",
  },
  from: {
    type: 'string',
    value: 'DIR',
    help: 'The directory of one server in a Barman home; no configuration of Barman is read',
  },
  dryRun: { type: 'flag', help: 'Say what would be imported, and change nothing' },
  jobs: { type: 'int', value: 'N', min: 1, max: 64, help: 'Compression threads' },
} as const satisfies OptionSpecs

export default defineCommand({
  summary: "Bring Barman's backups and WAL into a repository, and verify them",
  description:
    'Backups keep their ids, names and keep marks. What Barman has is only read. The command can be run again: what is there ' +
    "already stays. Without --repository and --cluster the destination is where Backstay's barman looks: BARMAN_HOME/backstay, " +
    "each server under its own name; with --from it is the cluster file's repository.",
  options: OPTIONS,
  arguments: ARGUMENTS,
  exits: [
    'PARTIAL',
    'REPOSITORY_LOCKED',
    'POSTGRES_IDENTITY',
    'DISK_SPACE',
    'HOST_PRIVILEGE',
    'DIRECTORY_OWNER',
  ],
  examples: [
    'backstay import barman --dry-run',
    'backstay import barman main',
    'backstay import barman --from /mnt/old/barman/main --repository /var/lib/backstay --cluster shop',
  ],
  load: () => import('../actions/import-barman.ts'),
})
