/**
 * `backstay clone-here`: started by `up` on a standby's machine; not for people.
 */
import { defineCommand } from '../define-command.ts'

export default defineCommand({
  summary: 'Clone a standby on this machine, as standard input says',
  hidden: true,
  load: () => import('../actions/clone-here.ts'),
})
