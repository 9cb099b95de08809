/**
 * `backstay repository forget`: removes a cluster from a repository.
 */
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec, OptionSpecs } from '../option-spec.ts'

export const ARGUMENTS = [
  { name: 'cluster', help: 'The cluster, as it is called in the repository' },
] as const satisfies readonly ArgumentSpec[]

export const OPTIONS = {
  repository: {
    type: 'string',
    value: 'DIR',
    help: 'Repository (default: as the cluster file says)',
  },
  yes: { type: 'flag', help: 'Do not ask for the name of the cluster' },
} as const satisfies OptionSpecs

export default defineCommand({
  summary: 'Remove a cluster from a repository, with all its backups and WAL',
  description:
    'At a terminal it asks for the name of the cluster; elsewhere it wants --yes. Nothing is done while WAL is received or a backup is taken or read: stop `backstay serve` first. Interrupted, it is run again.',
  options: OPTIONS,
  arguments: ARGUMENTS,
  exits: ['REPOSITORY_MISSING', 'REPOSITORY_LOCKED', 'NEEDS_CONFIRMATION'],
  examples: ['backstay repository forget shop --repository /srv/backup --yes'],
  runsOn: 'backup server',
  load: () => import('../actions/repository-forget.ts'),
})
