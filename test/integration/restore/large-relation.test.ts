/**
 * A relation of more than 1 GB is several files; its pages are numbered through all of them, by checksums and by the server's list of
 * changed blocks alike.
 */
import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { PostgresMajor } from '../../../src/postgres/version.ts'
import { openPostgres, startPostgres, type TestServer } from '../../harness/postgres.ts'
import { restore, untilPromoted } from './restore-files.ts'
import { startVault } from './vault.ts'

const GIGABYTE = 1024 ** 3
/** One row a page: little WAL, many pages. */
const ROWS = 132_000

async function contentOf(pg: TestServer): Promise<unknown> {
  const [row] = await pg.query(
    'SELECT count(*)::int AS rows, sum(id)::text AS ids, sum(changes)::int AS changes FROM large',
  )
  return row
}

for (const major of [13, 18] satisfies PostgresMajor[]) {
  test(`PostgreSQL ${major}: a relation of more than 1 GB comes back, changed pages of its second file too`, async () => {
    const settings = { max_wal_size: '2GB', ...(major >= 17 && { summarize_wal: 'on' }) }
    await using pg = await startPostgres({ major, settings })
    await using vault = await startVault(pg)
    await pg.query(`CREATE TABLE large (id int, changes int, pad text) WITH (fillfactor = 10);
      ALTER TABLE large ALTER pad SET STORAGE PLAIN;
      INSERT INTO large SELECT i, 0, repeat('x', 400) FROM generate_series(1, ${ROWS}) i`)
    const [place] = await pg.query(`SELECT pg_relation_filepath('large') AS path`)
    const path = String(place?.['path'])
    // Hint bits that a later scan sets would change every page.
    await pg.query('VACUUM large')
    await pg.query('CHECKPOINT')
    assert.equal(statSync(join(pg.directory, path)).size, GIGABYTE)
    assert.ok(statSync(join(pg.directory, `${path}.1`)).size > 0, 'it has a second file')
    const full = await vault.backup()
    await pg.query('UPDATE large SET changes = 1 WHERE id % 1000 = 0 OR id > 131900')
    const changed = await vault.backup()
    assert.deepEqual([changed.type, changed.badPages.count], ['changed-pages', 0])
    assert.ok(changed.bytes.changed < full.bytes.changed / 20, `${changed.bytes.changed} bytes`)
    const expected = await contentOf(pg)
    await vault.caughtUp()
    const restoreCommand = await vault.layOutWal()
    const directory = join(vault.base, 'restored')
    await restore(vault.repository, { directory, restoreCommand })
    await using opened = await openPostgres({ major, directory })
    await untilPromoted(opened)
    assert.deepEqual(await contentOf(opened), expected)
  })
}
