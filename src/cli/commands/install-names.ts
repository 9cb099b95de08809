/**
 * `backstay install-names`: puts the programs with Barman's names where shells, cron lines and ssh find them.
 */
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec, OptionSpecs } from '../option-spec.ts'

export const OPTIONS = {
  replace: { type: 'flag', help: 'Replace programs of these names that are not ours' },
} as const satisfies OptionSpecs

export const ARGUMENTS = [
  { name: 'directory', help: 'A directory of the PATH, /usr/local/bin for example' },
] as const satisfies readonly ArgumentSpec[]

export default defineCommand({
  summary: 'Put barman, barman-wal-archive and barman-wal-restore into a directory of the PATH',
  description:
    'Writes three small programs into the directory: barman, barman-wal-archive and barman-wal-restore. They start Backstay ' +
    'with the Node.js that runs now, so that they also work in cron and over ssh. `backstay barman …` is the same as the first ' +
    'of them without installing it.',
  options: OPTIONS,
  arguments: ARGUMENTS,
  exits: ['DIRECTORY_FOREIGN', 'HOST_PRIVILEGE'],
  examples: ['backstay install-names /usr/local/bin'],
  load: () => import('../actions/install-names.ts'),
})
