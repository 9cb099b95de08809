/**
 * What `down` would break, it says before it stops anything.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { takeDown } from '../../../src/build/down.ts'
import { bringUp } from '../../../src/build/up.ts'
import { ReplicationConnection } from '../../../src/wire/replication-connection.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { until } from '../../harness/until.ts'
import { withCode } from '../roles/support.ts'
import { droppingSink } from '../wire/directory-sink.ts'
import { makeHouse } from './house.ts'

for (const major of availableMajors().filter((each) => each === 11 || each === 18)) {
  describe(`PostgreSQL ${major}: down`, () => {
    test('a base backup that is being taken is not broken off unasked', async () => {
      await using house = await makeHouse({ major, standbys: 0, backup: false })
      await bringUp(house.context())
      const [db1] = house.wanted.servers
      assert.ok(db1)
      const abort = new AbortController()
      await using connection = await ReplicationConnection.connect({
        host: db1.address,
        port: db1.port,
        user: 'postgres',
        passfile: house.context().state.passfile,
      })
      const slow = { maxRateBytes: 65_536, signal: abort.signal }
      const backup = connection.baseBackup(slow, droppingSink()).then(
        () => 'done',
        () => 'broken off',
      )
      await until('the backup to run', async () => {
        const rows = await house.query(
          'db1',
          `SELECT 1 FROM pg_stat_replication WHERE state = 'backup'`,
        )
        return rows.length === 1
      })
      await assert.rejects(
        takeDown(house.context()),
        withCode('NEEDS_CONFIRMATION', /takes a base backup from "db1", and would break off/),
      )
      assert.equal((await house.query('db1', 'SELECT 1')).length, 1)
      const asked: string[] = []
      const { stopped } = await takeDown(house.context(), {
        mayBreakOff: async (backups) => {
          asked.push(...backups)
          return true
        },
      })
      assert.equal(asked.length, 1)
      assert.deepEqual(stopped, ['db1'])
      assert.equal(await backup, 'broken off')
    })
  })
}
