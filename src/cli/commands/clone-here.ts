/**
 * `backstay clone-here`: started by `up` on a standby's machine; not for people.
 */
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec } from '../option-spec.ts'

export const ARGUMENTS = [
  { name: 'directory', help: 'Where to; the order says the same' },
] as const satisfies readonly ArgumentSpec[]

export default defineCommand({
  summary: 'Clone a standby on this machine, as standard input says',
  hidden: true,
  arguments: ARGUMENTS,
  load: () => import('../actions/clone-here.ts'),
})
