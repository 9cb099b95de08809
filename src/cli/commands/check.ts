/**
 * `backstay check`: everything that could be wrong.
 */
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'

export const OPTIONS = {
  nagios: { type: 'flag', help: 'One line with performance data, for monitoring' },
  all: { type: 'flag', help: 'Show the checks that are ok as well' },
} as const satisfies OptionSpecs

export default defineCommand({
  summary: 'Run all checks, each with cause and remedy',
  description: `Exit code 0 when all are ok, 3 otherwise; with --nagios one line and the exit codes of a monitoring plugin (0, 1, 2).`,
  options: OPTIONS,
  needs: { config: true },
  exits: ['CHECK_FAILED'],
  examples: ['backstay check'],
  load: () => import('../actions/check.ts'),
})
