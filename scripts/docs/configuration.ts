/**
 * docs/reference/configuration.md from the schema of the cluster file.
 */
import { clusterJsonSchema, type JsonSchema } from '../../src/config/json-schema.ts'
import { GENERATED, renderMarkdownTable } from './markdown.ts'

const EXAMPLE = `cluster: shop
postgres:
  version: 18
  parameters: { max_connections: 50, shared_buffers: 128MB }
  access: [ "host all all 192.168.100.0/24 scram-sha-256" ]
servers:
  db1: { role: primary, host: 192.168.100.10 }
  db2: { role: standby, host: 192.168.100.11 }
backup:
  server: vault
  host: 192.168.100.12
  repository: /var/lib/backstay
  schedule: { backup: "0 2 * * *" }
  retention: { window: 14d, minimum: 2 }`

/** The page. */
export function configurationPage(): string {
  const schema = clusterJsonSchema()
  const parts = Object.entries(schema.properties ?? {}).filter(([, part]) => isPart(part))
  const single = Object.entries(schema.properties ?? {}).filter(([, part]) => !isPart(part))
  return [
    '# The cluster file',
    '',
    GENERATED,
    '',
    '`backstay.yaml` is looked for in the working directory, in `~/.config/backstay/` and in `/etc/backstay/`; `--config` names',
    'another. `backstay init` writes one, `backstay config check` reads it, `backstay config explain` says where each value',
    'comes from. Every problem is reported at once as `file:line:col`.',
    '',
    '```yaml',
    EXAMPLE,
    '```',
    '',
    'Sizes have PostgreSQL’s units (`64MB`, `1GB`; powers of 1024), durations `s`, `m`, `h`, `d`, `w`. Relative paths of this machine are',
    'relative to the file. Editors that know JSON Schema read [backstay.schema.json](backstay.schema.json).',
    '',
    keyTable(single, schema.required ?? []),
    ...parts.map(([key, part]) => partText(key, part)),
  ].join('\n')
}

function isPart(schema: JsonSchema): boolean {
  return schema.properties !== undefined || typeof schema.additionalProperties === 'object'
}

function partText(key: string, part: JsonSchema): string {
  const each = part.properties === undefined ? part.additionalProperties : undefined
  const inner = typeof each === 'object' ? each : part
  const heading = inner === part ? key : `${key}.<name>`
  return [
    `## \`${heading}\``,
    '',
    `${part.description ?? ''}${inner === part ? '' : ` ${inner.description ?? ''}`}`.trim(),
    '',
    keyTable(leavesOf(inner), inner.required ?? []),
  ].join('\n')
}

/** The keys of a part; those of a map inside it with its name before them (`retention.window`). */
function leavesOf(schema: JsonSchema): [string, JsonSchema][] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, inner]): [string, JsonSchema][] =>
    inner.properties === undefined
      ? [[key, inner]]
      : leavesOf(inner).map(([name, leaf]) => [`${key}.${name}`, leaf]),
  )
}

function keyTable(keys: readonly [string, JsonSchema][], required: readonly string[]): string {
  const rows = keys.map(([key, schema]) => [
    `\`${key}\``,
    typeText(schema),
    required.includes(key) ? 'required' : defaultText(schema),
    schema.description ?? '',
  ])
  return renderMarkdownTable(['Key', 'Type', 'Default', 'Meaning'], rows)
}

function typeText(schema: JsonSchema): string {
  if (schema.enum !== undefined)
    return schema.enum.map((value) => `\`${String(value)}\``).join(', ')
  if (schema.typeText !== undefined) return schema.typeText
  if (schema.type === 'array') return 'list of text'
  if (schema.type === 'object') return 'map'
  const types: Readonly<Record<string, string>> = {
    string: 'text',
    integer: 'whole number',
    boolean: 'true or false',
  }
  return types[String(schema.type)] ?? 'text or number'
}

function defaultText(schema: JsonSchema): string {
  if (schema.defaultText !== undefined) return schema.defaultText
  return schema.default === undefined
    ? '–'
    : `\`${JSON.stringify(schema.default).replaceAll('"', '')}\``
}
