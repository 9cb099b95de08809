/**
 * A failover that reaches the machine of a crashed primary lets it follow only when all its WAL was read.
 */
import assert from 'node:assert/strict'
import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { failOver } from '../../../src/failover/failover.ts'
import { rejoinServer } from '../../../src/failover/rejoin.ts'
import { bringUp } from '../../../src/build/up.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { until } from '../../harness/until.ts'
import { type House, makeHouse } from '../cluster/house.ts'
import { crash, isInOrder, NOTHING, stopStandby, synchronous } from './support.ts'

const PAGE_BYTES = 8192

/** Rows that no standby confirmed: the client was told that the wait was cancelled. Their pages are on disk all the same. */
async function writeUnconfirmed(house: House): Promise<void> {
  const rows = "SELECT g, repeat('y', 100) FROM generate_series(1001, 300000) g"
  const written = house.query('db1', `INSERT INTO t ${rows}`)
  const cancel = `SELECT pg_cancel_backend(pid) FROM pg_stat_activity
    WHERE query LIKE 'INSERT INTO t SELECT%' AND wait_event = 'SyncRep'`
  await until('the commit to wait', async () => (await house.query('db1', cancel)).length > 0)
  await written
}

/** A page in the middle of what only db1 has cannot be read any more. */
async function damageWal(directory: string): Promise<void> {
  const folder = join(directory, 'pg_wal')
  const names = (await readdir(folder)).filter((name) => /^[0-9A-F]{24}$/.test(name)).sort()
  await using file = await open(join(folder, names[3] ?? ''), 'r+')
  await file.write(Buffer.alloc(PAGE_BYTES), 0, PAGE_BYTES, 64 * PAGE_BYTES)
}

async function countOn(house: House, server: string): Promise<unknown> {
  return (await house.query(server, 'SELECT count(*)::int AS rows FROM t'))[0]?.['rows']
}

describe(
  'a crashed primary whose machine a failover reaches',
  { skip: !availableMajors().includes(18) && 'not installed' },
  () => {
    test('stays down when its WAL cannot be read to the end, until it is rejoined', async () => {
      const parameters = { max_wal_size: '4GB', checkpoint_timeout: '1h' }
      await using base = await makeHouse({ major: 18, backup: false, parameters })
      const house = synchronous(base)
      await bringUp(house.context())
      await house.query('db1', 'CREATE TABLE t (i int, pad text)')
      const rows = "SELECT g, repeat('x', 100) FROM generate_series(1, 1000) g"
      await house.query('db1', `INSERT INTO t ${rows}`)
      const start = await stopStandby(house, 'db2')
      await writeUnconfirmed(house)
      await crash(house, 'db1')
      await damageWal(house.wanted.servers[0]?.directory ?? '')
      await start()
      const { primary, loss, isFollowed, problems } = await failOver(house.context(), NOTHING)
      assert.deepEqual([primary, loss?.kind, isFollowed], ['db2', 'none', false])
      assert.match(problems.map(({ hint }) => hint).join(), /backstay rejoin db1/)
      const again = await bringUp(house.context())
      assert.match(again.problems.map(({ hint }) => hint).join(), /backstay rejoin db1/)
      assert.deepEqual(again.done, [])
      const { way, keptAside } = await rejoinServer(house.context(), 'db1')
      assert.equal(way, 'clone')
      assert.equal(keptAside.length, 1)
      await isInOrder(house, 'db2')
      assert.deepEqual([await countOn(house, 'db1'), await countOn(house, 'db2')], [1000, 1000])
    })

    test('follows when all of it is on the new primary', async () => {
      await using house = await makeHouse({ major: 18, backup: false })
      await bringUp(house.context())
      await house.query('db1', 'CREATE TABLE t (i int)')
      const [row] = await house.query('db1', 'SELECT pg_current_wal_flush_lsn() AS lsn')
      await until('db2 to have all', async () => {
        const [found] = await house.query('db2', 'SELECT pg_last_wal_replay_lsn() AS lsn')
        return (found?.['lsn'] as bigint) >= (row?.['lsn'] as bigint)
      })
      await crash(house, 'db1')
      const { primary, isFollowed } = await failOver(house.context(), NOTHING)
      assert.deepEqual([primary, isFollowed], ['db2', true])
      await isInOrder(house, 'db2')
    })
  },
)
