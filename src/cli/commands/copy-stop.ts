/**
 * `backstay copy stop`: stops what `restore --start` opened.
 */
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec, OptionSpecs } from '../option-spec.ts'

export const ARGUMENTS = [
  { name: 'directory', help: 'Directory of the copy' },
] as const satisfies readonly ArgumentSpec[]

export const OPTIONS = {
  server: { type: 'string', value: 'NAME', help: 'The copy is on the machine of this server' },
} as const satisfies OptionSpecs

export default defineCommand({
  summary: 'Stop a copy that restore --start opened',
  options: OPTIONS,
  arguments: ARGUMENTS,
  exits: ['DIRECTORY_FOREIGN', 'TIMEOUT'],
  examples: ['backstay copy stop /srv/look'],
  load: () => import('../actions/copy-stop.ts'),
})
