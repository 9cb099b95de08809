/**
 * The schema of the cluster file as JSON Schema: for editors, for the reference, and to know which
 * keys there are.
 */
import { z } from 'zod'
import type { ConfigPath } from './document.ts'
import { ClusterFile } from './schema.ts'

/** The part of JSON Schema that the cluster file uses. */
export interface JsonSchema {
  readonly type?: string | readonly string[]
  readonly description?: string
  readonly default?: unknown
  /** Ours: what a default is that depends on other keys. */
  readonly defaultText?: string
  /** Ours: what kind of text it is. */
  readonly typeText?: string
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly JsonSchema[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: JsonSchema | boolean
  readonly items?: JsonSchema
}

/** The schema of the whole file as an operator writes it: what has a default may be left out. */
export function clusterJsonSchema(): JsonSchema {
  return { title: 'backstay.yaml', ...z.toJSONSchema(ClusterFile, { io: 'input' }) } as JsonSchema
}

/** The schema of what may stand at `path`; undefined when nothing may. */
export function schemaAt(schema: JsonSchema, path: ConfigPath): JsonSchema | undefined {
  let here: JsonSchema | undefined = schema
  for (const key of path) {
    const others: JsonSchema | boolean | undefined = here?.additionalProperties
    const named: JsonSchema | undefined =
      typeof key === 'number' ? here?.items : here?.properties?.[key]
    here = named ?? (typeof others === 'object' ? others : undefined)
  }
  return here
}
