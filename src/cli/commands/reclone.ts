/**
 * `backstay reclone`: a new clone of a standby.
 */
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec, OptionSpecs } from '../option-spec.ts'

export const ARGUMENTS = [
  { name: 'server', help: 'Name of the standby in the cluster file' },
] as const satisfies readonly ArgumentSpec[]

export const OPTIONS = {
  discardOld: {
    type: 'flag',
    help: 'Remove the old content first, where the disk has no room for both',
  },
  yes: { type: 'flag', help: 'Confirm --discard-old' },
} as const satisfies OptionSpecs

export default defineCommand({
  summary: 'Make a standby anew from the primary',
  description: `What lies in its directory is set aside and removed only when the new standby streams.`,
  options: OPTIONS,
  arguments: ARGUMENTS,
  needs: { config: true },
  exits: [
    'SPLIT_BRAIN',
    'PRIMARY_MISSING',
    'NOT_READY',
    'DISK_SPACE',
    'DIRECTORY_FOREIGN',
    'DATA_LOSS',
    'NEEDS_CONFIRMATION',
  ],
  examples: ['backstay reclone db2'],
  load: () => import('../actions/reclone.ts'),
})
