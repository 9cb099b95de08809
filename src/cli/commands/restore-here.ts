/**
 * `backstay restore-here`: started by `restore --server` on that server's machine; not for people.
 */
import { defineCommand } from '../define-command.ts'

export default defineCommand({
  summary: 'Restore on this machine from the repository on another, as standard input says',
  hidden: true,
  load: () => import('../actions/restore-here.ts'),
})
