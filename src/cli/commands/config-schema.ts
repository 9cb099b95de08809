/**
 * `backstay config schema`: the JSON Schema of the cluster file, for editors.
 */
import { defineCommand } from '../define-command.ts'

export default defineCommand({
  summary: 'Print the JSON Schema of the cluster file, for editors',
  examples: ['backstay config schema > backstay.schema.json'],
  load: () => import('../actions/config-schema.ts'),
})
