/**
 * The harness keeps its own promises: servers of every major start, survive a crash, and never outlive their test.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { availableMajors, openPostgres, startPostgres } from '../harness/postgres.ts'

for (const major of availableMajors()) {
  test(`a PostgreSQL ${major} server starts, answers, survives a crash and leaves nothing behind`, async () => {
    let directory
    {
      await using server = await startPostgres({ major, settings: { work_mem: '5MB' } })
      directory = server.directory
      const [row] = await server.query('SHOW work_mem; SHOW server_version_num')
      assert.equal(Math.floor(Number(row?.['server_version_num']) / 10_000), major)
      await server.query('CREATE TABLE t AS SELECT 1 AS a')
      assert.doesNotMatch(readFileSync(`/proc/${server.pid()}/maps`, 'utf8'), /\/dev\/shm/)
      await server.kill()
      await server.start()
      assert.deepEqual(await server.query('SELECT a FROM t'), [{ a: 1 }])
      await server.stop()
      assert.equal(server.pid(), undefined)
      await using again = await openPostgres({ major, directory })
      assert.notEqual(again.port, server.port)
      assert.deepEqual(await again.query('SELECT a FROM t'), [{ a: 1 }])
    }
    assert.ok(!existsSync(directory))
  })
}
