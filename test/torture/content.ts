/**
 * What a server holds, row for row: a count and a sum of hashes for each table of each database, and for the large objects.
 */
import type { ComparedRelation } from './relation-pages.ts'
import type { ServerName, TortureCluster } from './cluster.ts'

/** Table (`shop: public.t3`) → its rows in short. */
export type Content = ReadonlyMap<string, string>

const NAMED = `format('%I.%I', n.nspname, c.relname)`

const TABLES = `SELECT ${NAMED} AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'm') AND c.relpersistence = 'p' AND n.nspname = 'public' ORDER BY 1`

const ROWS = (table: string): string => `SELECT format('%s rows, %s', count(*), coalesce(
  sum(('x' || left(md5(t::text), 8))::bit(32)::bigint), 0)) AS rows FROM ${table} t`

const OBJECTS = `SELECT format('%s objects, %s', count(*), coalesce(
  sum(('x' || left(md5(lo_get(oid)), 8))::bit(32)::bigint), 0)) AS rows FROM pg_largeobject_metadata`

/** Indexes have to find every row that a scan of the table finds. */
const BY_INDEX = (table: string): string =>
  `SET enable_seqscan = off; SET enable_bitmapscan = off; SELECT count(*) AS found FROM ${table} WHERE id > -1`

/** Heaps and B-trees that are written to the WAL, catalogs and TOAST included; sequences run ahead in the WAL and are left out. */
const RELATIONS = `SELECT pg_relation_filepath(c.oid) AS path, ${NAMED} AS name,
    CASE WHEN c.relkind IN ('r', 'm', 't') THEN 'heap' ELSE 'btree' END AS kind
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_am a ON a.oid = c.relam
  WHERE c.relpersistence = 'p' AND pg_relation_filepath(c.oid) IS NOT NULL
    AND (c.relkind IN ('r', 'm', 't') OR (c.relkind = 'i' AND a.amname = 'btree')) ORDER BY 1`

/** The databases one can connect to, in order. */
export async function databasesOf(
  cluster: TortureCluster,
  server: ServerName | number,
): Promise<readonly string[]> {
  const rows = await cluster.query(
    server,
    'SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1',
  )
  return rows.map(({ datname }) => String(datname))
}

/** Reads everything; the server must not be written to meanwhile. */
export async function contentOf(
  cluster: TortureCluster,
  server: ServerName | number,
): Promise<Content> {
  const content = new Map<string, string>()
  for (const database of await databasesOf(cluster, server)) {
    const client = await cluster.connect(server, database)
    try {
      const one = async (sql: string): Promise<string> =>
        ((await client.query(sql)).rows[0] as { rows: string }).rows
      for (const { name } of (await client.query(TABLES)).rows as { name: string }[]) {
        content.set(`${database}: ${name}`, await one(ROWS(name)))
      }
      content.set(`${database}: large objects`, await one(OBJECTS))
    } finally {
      await client.end()
    }
  }
  return content
}

/** The tables whose indexes miss rows, a line each. */
export async function indexProblems(
  cluster: TortureCluster,
  server: ServerName | number,
): Promise<readonly string[]> {
  const problems: string[] = []
  for (const database of await databasesOf(cluster, server)) {
    for (const { name } of await cluster.query(server, TABLES, database)) {
      const [all] = await cluster.query(
        server,
        `SELECT count(*) AS found FROM ${String(name)}`,
        database,
      )
      const [found] = await cluster.query(server, BY_INDEX(String(name)), database)
      if (all?.['found'] === found?.['found']) continue
      problems.push(
        `${database}: ${String(name)} has ${String(all?.['found'])} rows, by index ${String(found?.['found'])}`,
      )
    }
  }
  return problems
}

/** Rows that a visibility map calls visible or frozen for all, and that are not. Of a server that takes writes and has pg_visibility. */
export async function visibilityProblems(
  cluster: TortureCluster,
  server: ServerName | number,
): Promise<readonly string[]> {
  await endPrepared(cluster, server)
  const problems: string[] = []
  for (const database of await databasesOf(cluster, server)) {
    const [there] = await cluster.query(
      server,
      `SELECT 1 FROM pg_available_extensions WHERE name = 'pg_visibility'`,
      database,
    )
    if (there === undefined) return []
    await cluster.query(server, 'CREATE EXTENSION IF NOT EXISTS pg_visibility', database)
    for (const { name } of await cluster.query(server, TABLES, database)) {
      const [row] = await cluster.query(server, VISIBILITY(String(name)), database)
      if (Number(row?.['wrong']) > 0)
        problems.push(
          `${database}: ${String(row?.['wrong'])} rows of ${String(name)} are not as its visibility map says`,
        )
    }
  }
  return problems
}

/** pg_visibility takes the oldest transaction of all databases for its horizon, VACUUM that of its own: prepared ones make it see ghosts. */
async function endPrepared(cluster: TortureCluster, server: ServerName | number): Promise<void> {
  for (const row of await cluster.query(server, 'SELECT gid, database FROM pg_prepared_xacts')) {
    await cluster.query(
      server,
      `ROLLBACK PREPARED '${String(row['gid'])}'`,
      String(row['database']),
    )
  }
}

const VISIBILITY = (table: string): string =>
  `SELECT (SELECT count(*) FROM pg_check_visible('${table}')) + (SELECT count(*) FROM pg_check_frozen('${table}')) AS wrong`

/** The relations whose pages can be compared, of all databases. */
export async function comparedRelations(
  cluster: TortureCluster,
  server: ServerName | number,
): Promise<readonly ComparedRelation[]> {
  const relations: ComparedRelation[] = []
  for (const database of await databasesOf(cluster, server)) {
    for (const row of await cluster.query(server, RELATIONS, database)) {
      const { path, name, kind } = row as unknown as ComparedRelation
      // Relations that all databases share occur in each of them.
      if (relations.some((relation) => relation.path === path)) continue
      relations.push({ path, kind, name: `${database}: ${name}` })
    }
  }
  return relations
}

/** What differs, a line each. */
export function contentDifferences(before: Content, after: Content): readonly string[] {
  const names = [...new Set([...before.keys(), ...after.keys()])]
  return names
    .filter((name) => before.get(name) !== after.get(name))
    .map(
      (name) =>
        `${name}: ${before.get(name) ?? 'not there'} became ${after.get(name) ?? 'not there'}`,
    )
}
