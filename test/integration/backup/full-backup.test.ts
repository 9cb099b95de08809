import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import {
  debianBinaries,
  matrixMajors,
  startPostgres,
  temporaryDirectory,
} from '../../harness/postgres.ts'
import { backUp, readRepository, restoreAndOpen } from './support.ts'

const run = promisify(execFile)

describe('full backup', () => {
  for (const major of matrixMajors()) {
    it(`of PostgreSQL ${major} restores to the rows it had`, async () => {
      await using pg = await startPostgres({ major })
      await using directory = temporaryDirectory()
      await pg.query(
        `create table t as select g as id, repeat(md5(g::text), 5) as text from generate_series(1, 20000) g`,
      )
      await pg.query('create unique index on t (id)')
      const repository = join(directory.path, 'repository')
      const info = await backUp(pg, repository)
      assert.equal(info.type, 'full')
      assert.equal(info.status, 'done')
      const target = join(directory.path, 'restored')
      await using restored = await restoreAndOpen(pg, {
        directory: repository,
        id: info.id,
        target,
      })
      const rows = 'select count(*) as n, sum(hashtext(t::text)) as h from t'
      assert.deepEqual(await restored.query(rows), await pg.query(rows))
    })
  }

  it('is listed by the standalone reader', async () => {
    await using pg = await startPostgres({ major: 18 })
    await using directory = temporaryDirectory()
    const info = await backUp(pg, directory.path, { label: 'nightly' })
    assert.match(
      await readRepository(directory.path),
      new RegExp(`test\\t${info.id}\\tfull.*nightly`),
    )
  })

  const debian = debianBinaries(15)
  it(
    'restored by the standalone reader passes pg_verifybackup',
    { skip: debian === undefined && "Debian's PostgreSQL 15 is not installed" },
    async () => {
      await using pg = await startPostgres({ major: 15 })
      await using directory = temporaryDirectory()
      const repository = join(directory.path, 'repository')
      const info = await backUp(pg, repository)
      const target = join(directory.path, 'restored')
      await readRepository(repository, 'test', info.id, target)
      const { stdout } = await run(join(debian ?? '', 'pg_verifybackup'), [target])
      assert.match(stdout, /successfully verified/)
    },
  )
})
