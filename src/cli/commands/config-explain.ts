/**
 * `backstay config explain`: where each value comes from.
 */
import { defineCommand } from '../define-command.ts'

export default defineCommand({
  summary: 'List every value of the cluster file and where it comes from',
  description:
    'Lists every key with its value: the line of the file that says it, or "default". A dash is no value.',
  needs: { config: true },
  examples: ['backstay config explain'],
  load: () => import('../actions/config-explain.ts'),
})
