/**
 * Random work on the primary: rows, DDL, maintenance, databases, tablespaces, large objects, prepared and aborted transactions.
 * Statements may fail (a table that another session dropped, a server that went away): what counts is what PostgreSQL kept.
 */
import type { Client } from 'pg'
import { setTimeout as delay } from 'node:timers/promises'
import type { PostgresMajor } from '../../src/postgres/version.ts'
import type { TortureCluster } from './cluster.ts'
import type { Random } from './random.ts'

/** Few work in `quiet`: a database can be copied only while nobody is in it. */
const DATABASES = ['postgres', 'postgres', 'shop', 'shop', 'shop', 'quiet']
const TABLES = 8
/** A table holds no more, so that a run of hours stays small. */
const MOST_ROWS = 20_000
const STATEMENT_TIMEOUT_MS = 5000
const LOCK_TIMEOUT_MS = 500

interface Kind {
  readonly weight: number
  readonly statements: (random: Random, major: PostgresMajor) => readonly string[]
}

const table = (random: Random): string => `t${random.between(1, TABLES)}`
const rows = (random: Random): number => random.pick([1, 10, 300, 3000])

const KINDS: readonly Kind[] = [
  { weight: 20, statements: (random) => [insert(table(random), rows(random), random)] },
  {
    weight: 10,
    statements: (random) => [
      `UPDATE ${table(random)} SET k = k + 1, f = md5(f) WHERE id % 17 = ${random.between(0, 16)}`,
    ],
  },
  {
    weight: 6,
    statements: (random) => [
      `DELETE FROM ${table(random)} WHERE id % 23 = ${random.between(0, 22)}`,
    ],
  },
  // Read through the index right after loading: hint bits are set while a checkpoint may be writing the same pages.
  { weight: 10, statements: (random) => lookUp(table(random), random) },
  { weight: 6, statements: () => ['CHECKPOINT'] },
  { weight: 3, statements: (random) => [`TRUNCATE ${table(random)}`] },
  { weight: 4, statements: (random) => recreate(table(random), random) },
  {
    weight: 5,
    statements: (random) => [
      `VACUUM ${random.pick(['', '(FREEZE) ', '(ANALYZE) '])}${table(random)}`,
    ],
  },
  // VACUUM cuts the table, and COPY makes it grow by pages that are not in WAL until they are used.
  { weight: 5, statements: (random) => cut(table(random), random) },
  { weight: 2, statements: (random) => [`VACUUM FULL ${table(random)}`] },
  { weight: 2, statements: (random) => [`CLUSTER ${table(random)} USING ${table(random)}_pkey`] },
  { weight: 2, statements: (random) => [`REINDEX TABLE ${table(random)}`] },
  {
    weight: 3,
    statements: (random) => [
      `ALTER TABLE ${table(random)} SET TABLESPACE ${random.pick(['pg_default', 'elsewhere'])}`,
    ],
  },
  {
    weight: 1,
    statements: (random) => [
      `ALTER TABLE ${table(random)} SET ${random.pick(['LOGGED', 'UNLOGGED'])}`,
    ],
  },
  { weight: 3, statements: (random) => index(table(random), random) },
  {
    weight: 3,
    statements: (random) => [
      `SELECT lo_from_bytea(0, decode(repeat(md5('${random.between(1, 1e9)}'), ${random.between(1, 400)}), 'hex'))`,
    ],
  },
  {
    weight: 1,
    statements: () => [
      'SELECT lo_unlink(oid) FROM pg_largeobject_metadata ORDER BY random() LIMIT 1',
    ],
  },
  { weight: 4, statements: (random) => prepared(table(random), random) },
  { weight: 4, statements: (random) => aborted(table(random), random) },
  {
    weight: 2,
    statements: (random) => [
      `SELECT nextval('numbers'), setval('numbers', ${random.between(1, 1e6)})`,
    ],
  },
  { weight: 2, statements: () => ['SELECT pg_switch_wal()'] },
  {
    weight: 2,
    statements: (random) => [
      `VACUUM ${random.pick(['pg_class', 'pg_attribute', 'pg_largeobject'])}`,
    ],
  },
  {
    weight: 3,
    statements: (random, major) => ['DROP DATABASE IF EXISTS copied', copyDatabase(random, major)],
  },
]

/** From 15 on a database is copied by its WAL unless it is told otherwise, and may get its old OID again; before, always by its files. */
function copyDatabase(random: Random, major: PostgresMajor): string {
  const how = random.pick([
    '',
    ' OID 90000',
    ' STRATEGY file_copy',
    ' STRATEGY file_copy OID 90000',
  ])
  return `CREATE DATABASE copied TEMPLATE quiet${major >= 15 ? how : ''}`
}

function insert(name: string, count: number, random: Random): string {
  const wide = random.chance(0.1)
    ? `repeat(md5(g::text), ${random.between(1, 300)})`
    : 'md5(g::text)'
  const last = `(SELECT coalesce(max(id), 0) FROM ${name})`
  return `INSERT INTO ${name} SELECT g, g % 100, ${wide} FROM generate_series(${last} + 1, least(${last} + ${count}, ${MOST_ROWS})) g ON CONFLICT DO NOTHING`
}

function cut(name: string, random: Random): string[] {
  const last = random.between(1, MOST_ROWS - 3000)
  return [
    `DELETE FROM ${name} WHERE id > ${last}`,
    `VACUUM ${name}`,
    `COPY ${name} FROM PROGRAM 'seq -f "%.0f,1,copied" ${last + 1} ${last + rows(random)}' WITH (FORMAT csv)`,
  ]
}

function lookUp(name: string, random: Random): string[] {
  return [
    insert(name, 3000, random),
    'SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off',
    `SELECT count(t.f) FROM (SELECT (1 + floor(random() * 20000))::int AS id FROM generate_series(1, 3000)) r JOIN ${name} t USING (id)`,
    'RESET enable_seqscan; RESET enable_bitmapscan; RESET enable_hashjoin; RESET enable_mergejoin',
  ]
}

function recreate(name: string, random: Random): string[] {
  const unlogged = random.chance(0.15) ? 'UNLOGGED ' : ''
  const space = random.chance(0.3) ? ' TABLESPACE elsewhere' : ''
  return [
    `BEGIN; DROP TABLE IF EXISTS ${name}; CREATE ${unlogged}TABLE ${name} (id int PRIMARY KEY, k int, f text)${space}; ${insert(name, 500, random)}; ${random.pick(['COMMIT', 'COMMIT', 'ROLLBACK'])}`,
  ]
}

function index(name: string, random: Random): string[] {
  const column = random.pick([
    '(k)',
    'USING hash (k)',
    'USING brin (id)',
    "USING gin (to_tsvector('simple', left(f, 100)))",
    'USING gist (box(point(id, k), point(id, k)))',
    'USING spgist (left(f, 60))',
  ])
  return [
    `DROP INDEX IF EXISTS ${name}_extra`,
    `CREATE INDEX ${random.chance(0.2) ? 'CONCURRENTLY ' : ''}${name}_extra ON ${name} ${column}`,
  ]
}

function prepared(name: string, random: Random): string[] {
  const id = `p${random.between(1, 6)}`
  const end = random.pick(['COMMIT', 'ROLLBACK'])
  return random.chance(0.5)
    ? [`${end} PREPARED '${id}'`]
    : ['BEGIN', insert(name, 20, random), `PREPARE TRANSACTION '${id}'`]
}

function aborted(name: string, random: Random): string[] {
  return [
    `BEGIN; ${insert(name, 200, random)}; SAVEPOINT a; UPDATE ${name} SET k = -k WHERE id % 5 = 0; ROLLBACK TO a; DELETE FROM ${name} WHERE id % 7 = 3; ${random.pick(['ROLLBACK', 'COMMIT'])}`,
  ]
}

/** Makes what the work needs; once, on a new primary. */
export async function prepareDatabases(cluster: TortureCluster): Promise<void> {
  const primary = await cluster.primary()
  for (const database of new Set(DATABASES)) {
    if (database !== 'postgres') await cluster.query(primary, `CREATE DATABASE ${database}`)
    await cluster.query(primary, 'CREATE SEQUENCE numbers', database)
    for (let number = 1; number <= TABLES; number++) {
      const name = `t${number}`
      await cluster.query(
        primary,
        `CREATE TABLE ${name} (id int PRIMARY KEY, k int, f text)`,
        database,
      )
      await cluster.query(
        primary,
        `INSERT INTO ${name} SELECT g, g % 100, md5(g::text) FROM generate_series(1, 5000) g`,
        database,
      )
    }
  }
}

/** Sessions that work until they are stopped. */
export class Workload implements AsyncDisposable {
  readonly #cluster: TortureCluster
  readonly #done: Promise<unknown>
  #isStopped = false
  statements = 0

  constructor(cluster: TortureCluster, random: Random, sessions: number) {
    this.#cluster = cluster
    this.#done = Promise.all(Array.from({ length: sessions }, () => this.#work(random.branch())))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true
    await this.#done
  }

  async #work(random: Random): Promise<void> {
    while (!this.#isStopped) {
      const client = await this.#connect(random.pick(DATABASES)).catch(() => undefined)
      if (client === undefined) {
        await delay(100)
        continue
      }
      try {
        for (let count = 0; count < 20 && !this.#isStopped; count++) await this.#act(client, random)
      } finally {
        await Promise.race([client.end().catch(() => undefined), delay(2000)])
      }
    }
  }

  async #connect(database: string): Promise<Client> {
    const client = await this.#cluster.connect(await this.#cluster.primary(), database)
    await client.query(
      `SET statement_timeout = ${STATEMENT_TIMEOUT_MS}; SET lock_timeout = ${LOCK_TIMEOUT_MS}`,
    )
    return client
  }

  async #act(client: Client, random: Random): Promise<void> {
    for (const statement of random.weighted(KINDS).statements(random, this.#cluster.shape.major)) {
      try {
        await client.query(statement)
        this.statements += 1
      } catch {
        await client.query('ROLLBACK').catch(() => undefined)
        return
      }
    }
  }
}
