/**
 * `backstay timeline abandon`: declares a timeline dead.
 */
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec, OptionSpecs } from '../option-spec.ts'
import { WAL_PLACE_OPTIONS } from './wal-options.ts'

export const ARGUMENTS = [
  { name: 'timeline', help: 'Its number' },
] as const satisfies readonly ArgumentSpec[]

export const OPTIONS = {
  ...WAL_PLACE_OPTIONS,
  undo: { type: 'flag', help: 'Take the declaration back' },
  yes: { type: 'flag', help: 'Also when production was seen on it last' },
} as const satisfies OptionSpecs

export default defineCommand({
  summary: 'Declare a timeline dead: a branch that production did not take',
  description:
    'It is not restored any more unless it is named, and WAL is not received from a server on it. Nothing is deleted; retention lets it go with the backups that lead to it.',
  options: OPTIONS,
  arguments: ARGUMENTS,
  exits: ['REPOSITORY_MISSING', 'NEEDS_CONFIRMATION'],
  examples: ['backstay timeline abandon 2', 'backstay timeline abandon 2 --undo'],
  runsOn: 'backup server',
  load: () => import('../actions/timeline-abandon.ts'),
})
