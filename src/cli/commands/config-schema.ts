/**
 * `backstay config schema`: the JSON Schema of the cluster file, for editors.
 */
import { clusterJsonSchema } from '../../config/json-schema.ts'
import type { CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'

export default defineCommand({
  examples: ['backstay config schema > backstay.schema.json'],
  run,
})

/** The schema, the same with and without --json. */
async function run(): Promise<CommandResult> {
  const schema = clusterJsonSchema()
  return { data: schema, text: () => JSON.stringify(schema, null, 2) }
}
