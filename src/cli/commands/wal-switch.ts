/**
 * `backstay wal switch`: finish the present segment.
 */
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'

export const OPTIONS = {
  timeout: {
    type: 'duration',
    value: 'TIME',
    default: 60_000,
    help: 'How long to wait for the segment in the repository',
  },
} as const satisfies OptionSpecs

export default defineCommand({
  summary: 'Finish the present WAL segment and wait until it is stored',
  needs: { config: true },
  options: OPTIONS,
  exits: ['WAL_UNAVAILABLE', 'POSTGRES_UNREACHABLE'],
  runsOn: 'backup server',
  load: () => import('../actions/wal-switch.ts'),
})
