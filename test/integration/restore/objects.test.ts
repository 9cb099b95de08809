/**
 * Whatever happened to relations between and during backups, the restored cluster holds what the primary held: tablespaces,
 * unlogged tables, TRUNCATE, VACUUM FULL, recreated tables, new databases. PostgreSQL's own tools are asked too.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chown, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import {
  debianBinaries,
  matrixMajors,
  openPostgres,
  startPostgres,
  type TestServer,
} from '../../harness/postgres.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { restore, untilPromoted } from './restore-files.ts'
import { startVault, type Vault } from './vault.ts'

const run = promisify(execFile)

async function spaceFor(vault: Vault, name: string): Promise<string> {
  const path = join(vault.base, name)
  await mkdir(path)
  if (isRoot) await chown(path, unprivilegedUser.uid, unprivilegedUser.gid)
  return path
}

async function eachOf(
  pg: TestServer,
  database: string,
  statements: readonly string[],
): Promise<void> {
  for (const statement of statements) await pg.query(statement, database)
}

async function build(pg: TestServer, vault: Vault): Promise<void> {
  await eachOf(pg, 'postgres', [
    `CREATE TABLESPACE fast LOCATION '${await spaceFor(vault, 'fast')}'`,
    `CREATE TABLESPACE slow LOCATION '${await spaceFor(vault, 'slow')}'`,
    'CREATE DATABASE shop TABLESPACE slow',
    'CREATE DATABASE old',
  ])
  await eachOf(pg, 'shop', [
    `CREATE TABLE orders AS SELECT i AS id, md5(i::text) AS note FROM generate_series(1, 30000) i`,
    'ALTER TABLE orders ADD PRIMARY KEY (id)',
    `CREATE TABLE lines TABLESPACE fast AS SELECT i AS id, i % 7 AS n FROM generate_series(1, 30000) i`,
    'CREATE UNLOGGED TABLE cache AS SELECT i AS id FROM generate_series(1, 1000) i',
    'CREATE TABLE emptied AS SELECT i AS id FROM generate_series(1, 5000) i',
    'CREATE TABLE squeezed AS SELECT i AS id, md5(i::text) AS note FROM generate_series(1, 20000) i',
    'CREATE TABLE replaced AS SELECT i AS id FROM generate_series(1, 3000) i',
    'CREATE INDEX ON lines (n) TABLESPACE slow',
  ])
}

async function change(pg: TestServer, round: number): Promise<void> {
  await eachOf(pg, 'shop', [
    `UPDATE orders SET note = note || '${round}' WHERE id % 100 = ${round}`,
    `DELETE FROM lines WHERE id % 50 = ${round}`,
    'TRUNCATE emptied',
    `INSERT INTO emptied SELECT i FROM generate_series(1, ${round * 10}) i`,
    `DELETE FROM squeezed WHERE id % 10 = ${round}`,
    'VACUUM FULL squeezed',
    'VACUUM lines',
    'DROP TABLE replaced',
    `CREATE TABLE replaced AS SELECT i + ${round} AS id FROM generate_series(1, 2500) i`,
    `CREATE TABLE late_${round} TABLESPACE fast AS SELECT i AS id FROM generate_series(1, 100) i`,
  ])
  const strategies = pg.major >= 15 ? ['wal_log', 'file_copy'] : ['']
  for (const strategy of strategies) {
    const clause = strategy === '' ? '' : ` STRATEGY ${strategy}`
    await pg.query(`CREATE DATABASE new_${round}_${strategy} TEMPLATE shop${clause}`)
  }
  await pg.query(round === 1 ? 'DROP DATABASE old' : 'SELECT 1')
}

/** Every table of every database as a number of rows and a hash of them. */
async function contentOf(pg: TestServer): Promise<Record<string, unknown>> {
  const content: Record<string, unknown> = {}
  for (const { datname } of await pg.query(
    'SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1',
  )) {
    const database = String(datname)
    const tables = await pg.query(
      `SELECT relname FROM pg_class WHERE relkind = 'r' AND relpersistence = 'p' AND relnamespace = 'public'::regnamespace ORDER BY 1`,
      database,
    )
    for (const { relname } of tables) {
      const [row] = await pg.query(
        `SELECT count(*)::int AS rows, md5(string_agg(t::text, ',' ORDER BY t::text)) AS hash FROM ${String(relname)} t`,
        database,
      )
      content[`${database}.${String(relname)}`] = row
    }
  }
  return content
}

for (const major of matrixMajors()) {
  test(`PostgreSQL ${major} gets back every relation from a chain of changed-pages backups`, async (t) => {
    await using pg = await startPostgres({
      major,
      ...(major >= 17 && { settings: { summarize_wal: 'on' } }),
    })
    await using vault = await startVault(pg)
    await build(pg, vault)
    const backups = [await vault.backup()]
    for (const round of [1, 2, 3]) {
      await change(pg, round)
      backups.push(await vault.backup())
    }
    await change(pg, 4)
    const expected = await contentOf(pg)
    await vault.caughtUp()
    const restoreCommand = await vault.layOutWal()
    assert.deepEqual(
      backups.map(({ type }) => type),
      ['full', 'changed-pages', 'changed-pages', 'changed-pages'],
      backups.map(({ fullBecause }) => fullBecause).join('; '),
    )
    for (const backup of [backups[0], backups[3]]) {
      assert.ok(backup !== undefined)
      await t.test(`from the ${backup.type} backup ${backup.id}`, async () => {
        const directory = join(vault.base, `restored-${backup.id}`)
        const tablespaces = new Map(
          backup.tablespaces.map(({ oid }) => [String(oid), `${directory}-${oid}`]),
        )
        await restore(vault.repository, {
          directory,
          backup: backup.id,
          tablespaces,
          restoreCommand,
        })
        await verifyWithTool(t, { major, directory })
        await using opened = await openPostgres({ major, directory })
        await untilPromoted(opened)
        assert.deepEqual(await contentOf(opened), expected)
        assert.deepEqual(await opened.query('SELECT count(*)::int AS n FROM cache', 'shop'), [
          { n: 0 },
        ])
        await checkWithTools(t, opened)
      })
    }
  })
}

async function verifyWithTool(
  t: { diagnostic(text: string): void },
  { major, directory }: { major: number; directory: string },
): Promise<void> {
  const tools = debianBinaries(15)
  if (tools === undefined || major < 13 || major > 15) {
    t.diagnostic("pg_verifybackup: only with Debian's PostgreSQL 15 and backups of 13 to 15")
    return
  }
  const { stdout } = await run(join(tools, 'pg_verifybackup'), ['-n', directory])
  assert.match(stdout, /successfully verified/)
}

async function checkWithTools(
  t: { diagnostic(text: string): void },
  opened: TestServer,
): Promise<void> {
  const tools = debianBinaries(15)
  if (tools === undefined || opened.major !== 15) {
    t.diagnostic("pg_amcheck and pg_checksums: only with Debian's PostgreSQL 15")
    return
  }
  const { host, port, user, password } = opened.connection
  const login = {
    ...process.env,
    PGHOST: host,
    PGPORT: String(port),
    PGUSER: user,
    PGPASSWORD: password,
  }
  await run(join(tools, 'pg_amcheck'), ['--all', '--install-missing', '--heapallindexed'], {
    env: login,
  })
  await opened.stop()
  const { stdout } = await run(join(tools, 'pg_checksums'), ['--check', '-D', opened.directory])
  assert.match(stdout, /Bad checksums: {2}0/)
}
