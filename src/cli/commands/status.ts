/**
 * `backstay status`: the state of everything.
 */
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'

export const OPTIONS = {
  watch: {
    type: 'flag',
    help: 'Show it again and again until Ctrl-C; with --json one line each time',
  },
  interval: {
    type: 'duration',
    value: 'TIME',
    default: 2000,
    min: 200,
    help: 'Time between two looks of --watch',
  },
} as const satisfies OptionSpecs

export default defineCommand({
  summary: 'Show servers, lag, slots, receiver and backups',
  description: `One look at everything. Exit code 3 when a server is not as it should be.`,
  options: OPTIONS,
  needs: { config: true },
  exits: ['CHECK_FAILED'],
  examples: ['backstay status'],
  load: () => import('../actions/status.ts'),
})
