/**
 * A relation that was cut grows again by pages of zeros that are not in WAL, and its visibility map loses bits and pages without WAL: an
 * incremental stream names none of that. Nothing of the reference from behind the cut may come back.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { BackupInfo } from '../../../src/repository/backup-info.ts'
import {
  availableMajors,
  startPostgres,
  temporaryDirectory,
  type TestServer,
} from '../../harness/postgres.ts'
import { backUp, restoreAndOpen, verifyAll } from './support.ts'

const SETTINGS = {
  autovacuum: 'off',
  summarize_wal: 'on',
  wal_keep_size: '2GB',
  max_wal_size: '4GB',
}
/** Fills `t` by pages added in bulk, of which the last are not used. */
const fill = (table: string): string =>
  `copy ${table} from program 'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo "$((100000+i))\\\\tnew"; done'`
const content = (table: string): string =>
  `select pg_relation_size('${table}') / 8192 as blocks, count(*)::int as rows, sum(id)::text as sum from ${table}`

/** An incremental backup. */
async function backUpChanges(pg: TestServer, repository: string): Promise<BackupInfo> {
  const info = await backUp(pg, repository)
  assert.equal(info.method, 'incremental', info.fullBecause ?? '')
  return info
}

/** Rows come and go on the restored copy: what its map promises of blocks that were not there is believed now. */
async function assertTrueMap(copy: TestServer): Promise<void> {
  await copy.query(
    `insert into t select g, repeat('x', 700) from generate_series(200001, 205000) g`,
  )
  await copy.query('delete from t where id > 200000')
  const [found] = await copy.query(
    'set enable_seqscan = off; set enable_bitmapscan = off; select count(*)::int as rows from t where id > 200000',
  )
  assert.equal(found?.['rows'], 0, 'no deleted row by an index-only scan')
  const [bad] = await copy.query(`select count(*)::int as rows from pg_check_visible('t')`)
  assert.equal(bad?.['rows'], 0)
}

for (const major of availableMajors().filter((each) => each >= 17)) {
  describe(`a relation that was cut, PostgreSQL ${major}`, () => {
    it('has no row again that was deleted, in any tablespace, nor in what builds on it', async () => {
      await using directory = temporaryDirectory()
      await using pg = await startPostgres({
        major,
        settings: { ...SETTINGS, allow_in_place_tablespaces: 'on' },
        initdbArguments: ['--data-checksums'],
      })
      const repository = join(directory.path, 'repository')
      await pg.query("create tablespace place location ''")
      for (const [table, tablespace] of [
        ['t', 'pg_default'],
        ['u', 'place'],
      ] as const) {
        await pg.query(`create table ${table} (id int, f text) tablespace ${tablespace}`)
        await pg.query(
          `insert into ${table} select g, repeat('x', 300) from generate_series(1, 50000) g`,
        )
      }
      await pg.query('vacuum (freeze) t, u')
      await backUp(pg, repository)
      await pg.query('delete from t where id > 25000')
      await pg.query('delete from u where id > 25000')
      await pg.query('vacuum t, u')
      for (const table of ['t', 'u']) await pg.query(fill(table))
      const first = await backUpChanges(pg, repository)
      const wanted = [await pg.query(content('t')), await pg.query(content('u'))]
      await pg.query('create table other as select 1')
      const second = await backUpChanges(pg, repository)
      await verifyAll(repository)
      for (const { id } of [first, second]) {
        const target = join(directory.path, id)
        await using copy = await restoreAndOpen(pg, { directory: repository, id, target })
        assert.deepEqual([await copy.query(content('t')), await copy.query(content('u'))], wanted)
      }
    })

    it('has no map that speaks of blocks that went without WAL', async () => {
      await using directory = temporaryDirectory()
      await using pg = await startPostgres({
        major,
        settings: SETTINGS,
        initdbArguments: ['--no-data-checksums'],
      })
      const repository = join(directory.path, 'repository')
      await pg.query('create extension pg_visibility')
      await pg.query('create table t (id int primary key, f text)')
      await pg.query(`insert into t select g, repeat('x', 300) from generate_series(1, 50000) g`)
      await pg.query('vacuum (freeze) t')
      await pg.query('delete from t where id > 25000')
      for (let time = 0; time < 2; time += 1) await pg.query('vacuum (freeze, truncate false) t')
      await backUp(pg, repository)
      await pg.query('vacuum t')
      const { id } = await backUpChanges(pg, repository)
      await verifyAll(repository)
      const target = join(directory.path, id)
      await using copy = await restoreAndOpen(pg, { directory: repository, id, target })
      await assertTrueMap(copy)
    })

    it('has no page of a map that went with the cut and came again as zeros', async () => {
      await using directory = temporaryDirectory()
      await using pg = await startPostgres({
        major,
        settings: { ...SETTINGS, max_prepared_transactions: '5' },
        initdbArguments: ['--data-checksums'],
      })
      const repository = join(directory.path, 'repository')
      await pg.query('create extension pg_visibility')
      await pg.query('create table other (id int)')
      await pg.query('create table t (id int primary key, f text) with (fillfactor = 10)')
      await pg.query(`insert into t select g, repeat('x', 700) from generate_series(1, 40000) g`)
      await pg.query('vacuum (freeze) t')
      await backUp(pg, repository)
      await pg.query('delete from t where id > 20000')
      await pg.query('vacuum t')
      await pg.query(`begin; insert into other values (1); prepare transaction 'x'`)
      await pg.query(
        `insert into t select g, repeat('x', 700) from generate_series(50001, 63000) g`,
      )
      await pg.query('vacuum t')
      await pg.query(`commit prepared 'x'`)
      const { id } = await backUpChanges(pg, repository)
      await verifyAll(repository)
      const target = join(directory.path, id)
      await using copy = await restoreAndOpen(pg, { directory: repository, id, target })
      await assertTrueMap(copy)
    })

    it('has what was written behind a cut between later checkpoints, which the server may leave out', async () => {
      await using directory = temporaryDirectory()
      await using pg = await startPostgres({ major, settings: SETTINGS })
      const repository = join(directory.path, 'repository')
      await pg.query('create table t (id int, f text)')
      await pg.query(`insert into t select g, repeat('x', 300) from generate_series(1, 50000) g`)
      await backUp(pg, repository)
      await pg.query('delete from t where id > 25000')
      await pg.query('vacuum t')
      // Each is named by a summary of its own; the file system says which of them the server reads before that of the cut.
      for (const first of [50_001, 60_001, 70_001, 80_001]) {
        await pg.query('checkpoint')
        await pg.query(
          `insert into t select g, repeat('y', 300) from generate_series(${first}, ${first + 4000}) g`,
        )
      }
      const wanted = await pg.query(content('t'))
      const { id } = await backUp(pg, repository)
      await verifyAll(repository)
      const target = join(directory.path, id)
      await using copy = await restoreAndOpen(pg, { directory: repository, id, target })
      assert.deepEqual(await copy.query(content('t')), wanted)
    })

    it('is found by page LSN where SQL cannot say to where it was cut', async () => {
      await using directory = temporaryDirectory()
      await using pg = await startPostgres({ major, settings: SETTINGS })
      const repository = join(directory.path, 'repository')
      await backUp(pg, repository)
      const told: string[] = []
      const info = await backUp(pg, repository, {
        connection: { ...pg.connection, database: 'not_there' },
        onEvent: (event) => void (event.kind === 'warning' && told.push(event.text)),
      })
      assert.equal(info.method, 'page-lsn')
      assert.match(
        told.join(),
        /Cannot tell by SQL which relations were cut: .*not_there.*by their LSN/,
      )
    })
  })
}
