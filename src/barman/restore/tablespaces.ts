/**
 * Where tablespaces go. Barman's users name them; the repository knows their oids and places, so a
 * name is asked of the server.
 */
import type { BarmanServer } from '../../config/barman/model.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import type { BackupInfo } from '../../repository/backup-info.ts'
import { withSql } from '../../wire/sql-client.ts'
import type { BarmanContext } from '../context.ts'
import { sqlConnection } from '../server/connections.ts'

/**
 * Oid or old place → new directory.
 * @throws {BackstayError} USAGE for a rule that cannot be read or a tablespace that is not in the
 * backup; POSTGRES_… when a
 *   name has to be looked up and the server does not answer.
 */
export async function tablespaceMapping(
  context: BarmanContext,
  server: BarmanServer,
  wish: { readonly rules: readonly string[]; readonly info: BackupInfo },
): Promise<ReadonlyMap<string, string>> {
  const { rules, info } = wish
  const pairs = rules.map((rule) => pairOf(rule))
  const known = new Set(info.tablespaces.flatMap(({ oid, location }) => [String(oid), location]))
  if (pairs.every(([name]) => known.has(name))) return new Map(pairs)
  const names = await oidsByName(context, server)
  return new Map(pairs.map(([name, to]) => [known.has(name) ? name : oidOf(name, names), to]))
}

function pairOf(rule: string): [string, string] {
  const at = rule.indexOf(':')
  if (at > 0 && at < rule.length - 1) return [rule.slice(0, at), rule.slice(at + 1)]
  throw new BackstayError(
    'USAGE',
    `Invalid value for --tablespace relocation rule: '${rule}'. Please use the form 'NAME:LOCATION'`,
  )
}

async function oidsByName(
  { environment, signal }: BarmanContext,
  server: BarmanServer,
): Promise<ReadonlyMap<string, string>> {
  const connection = { ...sqlConnection(server, environment), signal }
  const rows = await withSql(connection, (sql) =>
    sql.query<{ name: string; oid: string }>(
      'SELECT spcname AS name, oid::text AS oid FROM pg_tablespace',
    ),
  )
  return new Map(rows.map(({ name, oid }) => [name, oid]))
}

function oidOf(name: string, names: ReadonlyMap<string, string>): string {
  const oid = names.get(name)
  if (oid !== undefined) return oid
  throw new BackstayError('USAGE', `The backup has no tablespace '${name}'`, {
    hint: 'Write its oid or its old directory in front of the colon.',
  })
}
