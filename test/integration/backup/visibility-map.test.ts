/**
 * PostgreSQL clears bits of visibility maps without naming the map's page in WAL, so an incremental stream leaves such pages out: what a
 * backup takes over of them must not say of any row that it is visible to all when it is not.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { availableMajors, startPostgres, temporaryDirectory } from '../../harness/postgres.ts'
import { backUp, restoreAndOpen, verifyAll } from './support.ts'

const SETTINGS = { autovacuum: 'off', summarize_wal: 'on', wal_keep_size: '1GB' }
const BY_INDEX = 'select count(*)::int as found from t where id >= 0'
const SCANS = {
  all: 'set enable_indexscan = off; set enable_indexonlyscan = off; set enable_bitmapscan = off',
  index: 'set enable_seqscan = off; set enable_bitmapscan = off',
}

for (const major of availableMajors().filter((each) => each >= 17)) {
  for (const checksums of [true, false]) {
    describe(`PostgreSQL ${major} ${checksums ? 'with' : 'without'} checksums`, () => {
      it('has no row in a restored incremental that was deleted since the reference', async () => {
        await using directory = temporaryDirectory()
        await using pg = await startPostgres({
          major,
          settings: SETTINGS,
          initdbArguments: [checksums ? '--data-checksums' : '--no-data-checksums'],
        })
        const repository = join(directory.path, 'repository')
        await pg.query('create table t (id int primary key, f text)')
        await pg.query(`insert into t select g, repeat('x', 300) from generate_series(1, 20000) g`)
        await pg.query('create table whole (id int primary key)')
        await pg.query('insert into whole select g from generate_series(1, 2000) g')
        await pg.query('vacuum (freeze) t, whole')
        await backUp(pg, repository)
        await pg.query('delete from t where id % 100 = 0')
        // So much of it that the server sends its main fork whole.
        await pg.query('delete from whole where id % 2 = 0')
        const first = await backUp(pg, repository)
        assert.equal(first.method, 'incremental', first.fullBecause ?? '')
        await pg.query('delete from t where id % 100 = 1')
        const second = await backUp(pg, repository)
        assert.equal(second.method, 'incremental', second.fullBecause ?? '')
        await verifyAll(repository)
        for (const [info, rows] of [
          [first, 19800],
          [second, 19600],
        ] as const) {
          const target = join(directory.path, info.id)
          await using copy = await restoreAndOpen(pg, {
            directory: repository,
            id: info.id,
            target,
          })
          await copy.query('create extension pg_visibility')
          for (const table of ['t', 'whole']) {
            const [bad] = await copy.query(
              `select (select count(*) from pg_check_visible('${table}'))::int as visible, (select count(*) from pg_check_frozen('${table}'))::int as frozen`,
            )
            assert.deepEqual({ ...bad }, { visible: 0, frozen: 0 }, table)
          }
          const [seen] = await copy.query(
            `select count(*) filter (where all_visible)::int as kept from pg_visibility_map('t')`,
          )
          if (info === first) assert.ok(Number(seen?.['kept']) > 0, 'what did not change stays')
          for (const scan of Object.values(SCANS)) {
            const [{ found } = {}] = await copy.query(`${scan}; ${BY_INDEX}`)
            assert.equal(found, rows)
          }
        }
      })
    })
  }
}
