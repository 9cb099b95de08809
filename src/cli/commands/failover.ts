/**
 * `backstay failover`: a standby becomes the primary because the primary is lost.
 */
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'

export const OPTIONS = {
  to: {
    type: 'string',
    value: 'SERVER',
    help: 'The standby that takes over (default: the one with most WAL)',
  },
  plan: { type: 'flag', help: 'Say who would take over and what would be lost; change nothing' },
  primaryIsDead: {
    type: 'flag',
    help: 'The old primary cannot be reached, and you have made sure that it is off or cut off',
  },
  allowDataLoss: { type: 'flag', help: 'Accept that acknowledged commits may be lost' },
} as const satisfies OptionSpecs

export default defineCommand({
  summary: 'Promote a standby because the primary is lost',
  description: `Says first what would be lost. WAL of the old primary that anybody still holds (its own disk, other standbys, the backup server) is given to the standby before it is promoted. The old primary is kept from starting as one again. Refuses while the primary answers, and when acknowledged commits could be lost. Run again after an interruption, it goes on.`,
  options: OPTIONS,
  needs: { config: true },
  exits: [
    'DATA_LOSS',
    'NOT_READY',
    'UNFINISHED',
    'PRIMARY_MISSING',
    'SPLIT_BRAIN',
    'REPOSITORY_LOCKED',
    'PARTIAL',
  ],
  examples: ['backstay failover --plan', 'backstay failover --to db2 --primary-is-dead'],
  load: () => import('../actions/failover.ts'),
})
