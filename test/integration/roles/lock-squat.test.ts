/**
 * Any role that may log in to the database "postgres" can take the advisory lock on changes of roles; it holds up nobody.
 */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { lookCluster } from '../../../src/cluster/look/look.ts'
import { lockRoles } from '../../../src/failover/role-lock.ts'
import { switchOver } from '../../../src/failover/switchover.ts'
import { bringUp } from '../../../src/build/up.ts'
import type { ServerWanted } from '../../../src/cluster/wanted.ts'
import { SqlClient } from '../../../src/wire/sql-client.ts'
import { matrixMajors } from '../../harness/binaries.ts'
import { until } from '../../harness/until.ts'
import { type House, makeHouse } from '../cluster/house.ts'
import { isInOrder, withCode } from './support.ts'

const KEY = 1_650_549_611

async function connect(house: House, database = 'postgres'): Promise<SqlClient> {
  const { address: host, port } = house.wanted.servers[0] as ServerWanted
  const passfile = join(house.path, 'app.pgpass')
  writeFileSync(passfile, '*:*:*:app:app\n', { mode: 0o600 })
  return await SqlClient.connect({ host, port, user: 'app', passfile, database })
}

for (const major of matrixMajors()) {
  describe(`PostgreSQL ${major}: a lock on changes of roles that an ordinary role holds`, () => {
    test('is taken from it, and from those who wait behind it', async () => {
      const access = ['host all app 127.0.0.1/32 scram-sha-256']
      const parameters = { max_prepared_transactions: '2' }
      await using house = await makeHouse({ major, backup: false, access, parameters })
      await bringUp(house.context())
      await house.query('db1', "CREATE ROLE app LOGIN PASSWORD 'app'")
      await using holder = await connect(house)
      await holder.query(`SELECT pg_advisory_lock_shared(${KEY})`)
      await using waiter = await connect(house)
      const waits = waiter.query(`SELECT pg_advisory_lock(${KEY})`).catch((error: unknown) => error)
      await until('the second to wait', async () => {
        const [row] = await house.query(
          'db1',
          `SELECT 1 FROM pg_locks WHERE objid = ${KEY} AND NOT granted`,
        )
        return row !== undefined
      })
      // Of another database, where it is another lock.
      await using elsewhere = await connect(house, 'template1')
      await elsewhere.query(`SELECT pg_advisory_lock(${KEY})`)
      await switchOver(house.context(), { to: 'db2' })
      await waits
      await isInOrder(house, 'db2')
      await assert.rejects(holder.query('SELECT 1'))
    })

    test('by a prepared transaction is told of; another Backstay counts as before', async () => {
      const access = ['host all app 127.0.0.1/32 scram-sha-256']
      const parameters = { max_prepared_transactions: '2' }
      await using house = await makeHouse({ major, backup: false, access, parameters })
      await bringUp(house.context())
      await house.query('db1', "CREATE ROLE app LOGIN PASSWORD 'app'")
      const context = house.context()
      const found = await lookCluster(context, { forPlan: true })
      {
        await using _roles = await lockRoles(context, found)
        const again = /Another Backstay changes roles/
        await assert.rejects(lockRoles(context, found), withCode('REPOSITORY_LOCKED', again))
      }
      await using app = await connect(house)
      await app.query(`BEGIN; SELECT pg_advisory_xact_lock(${KEY}); PREPARE TRANSACTION 'x'`)
      const told = withCode('REPOSITORY_LOCKED', /a role that is no superuser has the lock/)
      await assert.rejects(lockRoles(context, found), told)
      await house.query('db1', "ROLLBACK PREPARED 'x'")
      await using _roles = await lockRoles(context, found)
    })
  })
}
