/**
 * `backstay wal receive`: the WAL receiver in the foreground.
 */
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'

export const OPTIONS = {
  logLevel: {
    type: 'choice',
    value: 'LEVEL',
    choices: ['error', 'warn', 'info', 'debug'],
    default: 'info',
    help: 'How much is logged to standard error',
  },
  supervised: { type: 'flag', hidden: true, help: 'End when standard input ends' },
} as const satisfies OptionSpecs

export default defineCommand({
  summary: 'Receive WAL in the foreground, durable to the last record',
  description: `Streams from the primary through the cluster's slot, acknowledges only what is synced to disk, and follows the primary after a
switchover. Runs until it is interrupted. \`backstay serve\` runs it for you.`,
  needs: { config: true },
  options: OPTIONS,
  exits: ['REPOSITORY_LOCKED', 'POSTGRES_IDENTITY'],
  load: () => import('../actions/wal-receive.ts'),
})
