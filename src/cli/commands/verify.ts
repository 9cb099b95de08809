/**
 * `backstay verify`: proof that a row crosses.
 */
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'

export const OPTIONS = {
  timeout: {
    type: 'duration',
    value: 'TIME',
    default: 30_000,
    min: 100,
    help: 'How long to wait for the row',
  },
} as const satisfies OptionSpecs

export default defineCommand({
  summary: 'Prove replication with a row',
  description: `Writes a row with a new token on the primary and finds it on every standby, measures the delay, and reads both ends of each connection. Exit code 3 when a standby is not proved.`,
  options: OPTIONS,
  needs: { config: true },
  exits: ['CHECK_FAILED', 'PRIMARY_MISSING'],
  examples: ['backstay verify'],
  load: () => import('../actions/verify.ts'),
})
