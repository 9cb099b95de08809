/**
 * `backstay switchover`: another server becomes the primary, in order.
 */
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'

export const OPTIONS = {
  to: { type: 'string', value: 'SERVER', help: 'The standby that takes over (default: the best)' },
  targetIsDead: {
    type: 'flag',
    help: 'Of an interrupted one: the standby is lost for good (off or cut off); the old primary serves again',
  },
  allowDataLoss: {
    type: 'flag',
    help: 'With --target-is-dead: also give up what it is known to have committed as the primary',
  },
} as const satisfies OptionSpecs

export default defineCommand({
  summary: 'Hand the role of the primary to a standby',
  description: `The primary shuts down, the standby is proved to have all of its WAL and is promoted, the old primary and the other standbys follow it. When a step fails the old primary serves again. Run again after an interruption, it finishes or undoes.`,
  options: OPTIONS,
  needs: { config: true },
  exits: [
    'NOT_READY',
    'DATA_LOSS',
    'UNFINISHED',
    'PRIMARY_MISSING',
    'SPLIT_BRAIN',
    'TIMEOUT',
    'HOST_UNREACHABLE',
    'REPOSITORY_LOCKED',
    'PARTIAL',
  ],
  examples: [
    'backstay switchover',
    'backstay switchover --to db2',
    'backstay switchover --target-is-dead',
  ],
  load: () => import('../actions/switchover.ts'),
})
