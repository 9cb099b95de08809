/**
 * A restored subscriber leaves its origin's slot on the publisher alone.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { openPostgres, startPostgres, type TestServer } from '../../harness/postgres.ts'
import { until } from '../../harness/until.ts'
import { restore, untilPromoted } from './restore-files.ts'
import { startVault } from './vault.ts'

const LONG_ENOUGH_MS = 15_000

async function rowsOf(server: TestServer): Promise<unknown> {
  const [row] = await server.query('SELECT count(*)::int AS n FROM t')
  return row?.['n']
}

test('a restored subscriber takes no change away from the one it was restored from', async () => {
  await using publisher = await startPostgres({ major: 18, settings: { wal_level: 'logical' } })
  await using subscriber = await startPostgres({ major: 18 })
  await using vault = await startVault(subscriber)
  const { host, port, password } = publisher.connection
  await publisher.query('CREATE TABLE t (i int); CREATE PUBLICATION p FOR TABLE t')
  await subscriber.query('CREATE TABLE t (i int)')
  await subscriber.query(
    `CREATE SUBSCRIPTION s CONNECTION 'host=${host} port=${port} user=postgres password=${password} dbname=postgres' PUBLICATION p`,
  )
  await publisher.query('INSERT INTO t VALUES (1)')
  await until('the row to come', async () => (await rowsOf(subscriber)) === 1)
  await vault.backup()
  await vault.caughtUp()
  await vault.stop()
  const restoreCommand = await vault.layOutWal()
  // The slot is free: whoever comes first has it.
  await subscriber.stop()
  const directory = join(vault.base, 'copy')
  await restore(vault.repository, { directory, restoreCommand })
  await using copy = await openPostgres({ major: 18, directory })
  await copy.start()
  await untilPromoted(copy)
  await publisher.query('INSERT INTO t VALUES (2)')

  const takenUntil = Date.now() + LONG_ENOUGH_MS
  await until('time to pass in which a worker would have connected', async () => {
    const [slot] = await publisher.query('SELECT active FROM pg_replication_slots')
    assert.equal(slot?.['active'], false, 'the copy has the slot')
    return Date.now() > takenUntil
  })
  assert.equal(await rowsOf(copy), 1)
  await subscriber.start()
  await until('the change to come to the origin', async () => (await rowsOf(subscriber)) === 2)
})
