/**
 * Prints the JSON Schema of the cluster file.
 */
import { clusterJsonSchema } from '../../config/json-schema.ts'
import type { CommandResult } from '../context.ts'

/** The schema, the same with and without --json. */
export async function run(): Promise<CommandResult> {
  const schema = clusterJsonSchema()
  return { data: schema, text: () => JSON.stringify(schema, null, 2) }
}
