/**
 * Where every value of a cluster comes from: the line of the file, or a default.
 */
import { redact, redactSetting } from '../errors/redact.ts'
import type { ConfigDocument, ConfigPath } from './document.ts'
import { clusterJsonSchema, type JsonSchema } from './json-schema.ts'
import type { ReadCluster } from './read.ts'

/** One value and its origin. */
export interface Explained {
  /** `servers.db1.port` */
  readonly key: string
  /** Sizes in bytes, durations in milliseconds; null when there is none. */
  readonly value: unknown
  /** A size or duration as the file or the schema spells it; otherwise the value. */
  readonly written: unknown
  /** The line that says it; null for a default. */
  readonly line: number | null
}

/**
 * All values in the order of the schema; with those nobody set, which are null. Secrets in settings
 * and access lines are taken out.
 */
export function explain({ settings, document }: ReadCluster): Explained[] {
  return leaves(clusterJsonSchema(), settings, []).map(({ path, value, schema }) => ({
    key: path.join('.'),
    value: withoutSecrets(path, value ?? null),
    written: withoutSecrets(path, spelling(value, document.valueAt(path) ?? schema.default)),
    line: originOf(path, document),
  }))
}

function withoutSecrets(path: ConfigPath, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => withoutSecrets(path, item))
  if (typeof value !== 'string') return value
  const isParameter = path.at(-2) === 'parameters'
  return isParameter ? redactSetting(String(path.at(-1)), value) : redact(value)
}

interface Leaf {
  readonly path: ConfigPath
  readonly value: unknown
  readonly schema: JsonSchema
}

function spelling(value: unknown, source: unknown): unknown {
  return typeof value === 'number' && typeof source === 'string' ? source : (value ?? null)
}

function leaves(schema: JsonSchema, value: unknown, path: ConfigPath): Leaf[] {
  const map = isMap(value) ? value : undefined
  const named = Object.entries(schema.properties ?? {})
  if (named.length > 0) {
    return map === undefined
      ? [{ path, value, schema }]
      : named.flatMap(([key, inner]) => leaves(inner, map[key], [...path, key]))
  }
  const others = schema.additionalProperties
  if (map === undefined || typeof others !== 'object') return [{ path, value, schema }]
  return Object.entries(map).flatMap(([key, item]) => leaves(others, item, [...path, key]))
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The line of the key itself, or of the key it takes its value from. */
function originOf(path: ConfigPath, document: ConfigDocument): number | null {
  const source = [path, ...elsewhere(path, document)].find((candidate) => document.has(candidate))
  return source === undefined ? null : document.placeOfKey(source).line
}

function elsewhere(path: ConfigPath, document: ConfigDocument): ConfigPath[] {
  const [part, second] = path
  const last = path.at(-1) ?? ''
  if (path.at(-2) === 'ssh') return [['ssh', last]]
  if (part === 'servers' && last === 'address') return [[part, second ?? '', 'host']]
  if (part === 'backup' && last === 'address') return [['backup', 'host']]
  if (part === 'backup' && last === 'host') {
    return [['servers', String(document.valueAt(['backup', 'server'])), 'host']]
  }
  return []
}
