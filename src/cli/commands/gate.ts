/**
 * `backstay gate`: the forced command of the keys that `up` gives to database servers; not for people.
 */
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'

export const OPTIONS = {
  repository: { type: 'string', value: 'DIR', help: 'Repository', required: true },
  cluster: { type: 'string', value: 'NAME', help: 'Cluster in the repository', required: true },
  server: { type: 'string', value: 'NAME', help: 'Server the key belongs to' },
} as const satisfies OptionSpecs

export default defineCommand({
  summary: 'Let a database server into the repository (forced command of sshd)',
  hidden: true,
  options: OPTIONS,
  exits: [
    'HOST_PRIVILEGE',
    'WAL_CONFLICT',
    'WAL_INVALID',
    'WAL_MISSING',
    'REPOSITORY_MISSING',
    'DISK_SPACE',
  ],
  load: () => import('../actions/gate.ts'),
})
