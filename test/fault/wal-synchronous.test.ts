/** Promise 1, from the client's side: a commit that was acknowledged survives the loss of the primary and SIGKILL of the receiver. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Client } from 'pg'
import { matrixMajors, startPostgres, type TestServer } from '../harness/postgres.ts'
import { temporaryDirectory } from '../harness/temporary-directory.ts'
import { until } from '../harness/until.ts'
import {
  claimFor,
  copyDirectory,
  giveToServer,
  recover,
  restoreCommandFor,
  spawnReceiver,
} from '../integration/wal/support.ts'

const CLIENTS = 6

for (const major of matrixMajors()) {
  describe(`synchronous receiver on PostgreSQL ${major}`, () => {
    it('has every acknowledged commit after both were killed at a random moment', async () => {
      await using folder = temporaryDirectory()
      await using copy = temporaryDirectory()
      await using pg = await startPostgres({ major })
      await pg.query('create table commits(client int, number int)')
      await pg.stop()
      copyDirectory(pg.directory, join(copy.path, 'data'))
      await pg.start()
      await claimFor(pg, folder.path)
      await using receiver = spawnReceiver(pg, folder.path)
      await untilSynchronous(pg)
      const clients = Array.from({ length: CLIENTS }, (_, client) => commitOnAndOn(pg, client))
      await new Promise((resolve) => setTimeout(resolve, 500 + Math.random() * 1500))
      await Promise.all([receiver.kill('SIGKILL'), pg.kill()])
      const acknowledged = await Promise.all(clients)
      assert.ok(
        acknowledged.every((count) => count > 0),
        acknowledged.join(' '),
      )

      giveToServer(folder.path)
      const command = restoreCommandFor(folder.path)
      await using restored = await recover(major, join(copy.path, 'data'), { command })
      for (const [client, count] of acknowledged.entries()) {
        const [row] = await restored.query(
          `select count(*)::int as found from commits where client = ${client} and number <= ${count}`,
        )
        assert.equal(row?.['found'], count, `client ${client}`)
      }
    })
  })
}

async function untilSynchronous(pg: TestServer): Promise<void> {
  await pg.query(`alter system set synchronous_standby_names = 'vault'`)
  await pg.query('select pg_reload_conf()')
  await until('the receiver to be synchronous', async () => {
    const rows = await pg.query(
      `select 1 from pg_stat_replication where application_name = 'vault' and sync_state = 'sync'`,
    )
    return rows.length > 0
  })
  // Commits wait from when the checkpointer has read the setting, which it does before it begins this one.
  await pg.query('checkpoint')
}

/** Inserts 1, 2, 3, … until the server is gone; resolves with the last number that was acknowledged. */
async function commitOnAndOn(pg: TestServer, client: number): Promise<number> {
  const { host, port, user, password } = pg.connection
  const connection = new Client({ host, port, user, password, database: 'postgres' })
  connection.on('error', () => undefined)
  await connection.connect()
  for (let number = 1; ; number += 1) {
    try {
      await connection.query('insert into commits values ($1, $2)', [client, number])
    } catch {
      return number - 1
    }
  }
}
