/**
 * `backstay copy remove`: stops and removes what `restore --start` opened.
 */
import { defineCommand } from '../define-command.ts'
import type { OptionSpecs } from '../option-spec.ts'
import { ARGUMENTS, OPTIONS as PLACE } from './copy-stop.ts'

export { ARGUMENTS }

export const OPTIONS = {
  ...PLACE,
  yes: { type: 'flag', help: 'Remove it; without this nothing is done' },
} as const satisfies OptionSpecs

export default defineCommand({
  summary: 'Stop a copy that restore --start opened, and remove it with its tablespaces',
  description:
    'What its restore holds of the repository for it, the backup and the WAL after it, is let go.',
  options: OPTIONS,
  arguments: ARGUMENTS,
  exits: ['DIRECTORY_FOREIGN', 'NEEDS_CONFIRMATION', 'TIMEOUT'],
  examples: [
    'backstay copy remove /srv/look --yes',
    'backstay copy remove /srv/look --server db2 --yes',
  ],
  load: () => import('../actions/copy-remove.ts'),
})
