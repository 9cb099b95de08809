/**
 * Rejoin after the two have gone different ways: rewound where PostgreSQL's own tool is there, cloned anew elsewhere, and
 * never without keeping what only the old primary had.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { describe, test } from 'node:test'
import { promoteServer, stopServer } from '../../../src/host/postgres-control.ts'
import { rejoinServer } from '../../../src/cluster/roles/rejoin.ts'
import { switchOver } from '../../../src/cluster/roles/switchover.ts'
import { instanceOf } from '../../../src/cluster/steps/act-context.ts'
import { bringUp } from '../../../src/cluster/up.ts'
import type { ServerWanted } from '../../../src/cluster/wanted.ts'
import { availableMajors, debianBinaries } from '../../harness/binaries.ts'
import { type House, makeHouse, openHouse } from '../cluster/house.ts'
import { isInOrder, Vault, withCode } from './support.ts'
import { makeTable } from './writer.ts'

/** Somebody promotes db2 by hand while db1 goes on: both write, and each has rows the other has not. */
async function diverge(house: House): Promise<void> {
  await makeTable(house)
  await bringUp(house.context())
  const db2 = house.wanted.servers[1] as ServerWanted
  await promoteServer(await instanceOf(house.context(), db2), { timeoutMs: 30_000 })
  await house.query('db1', 'INSERT INTO acknowledged VALUES (1, 1); CHECKPOINT')
  await house.query('db2', 'INSERT INTO acknowledged VALUES (2, 2)')
}

async function idsOn(house: House, server: string): Promise<readonly unknown[]> {
  const rows = await house.query(server, 'SELECT id::int FROM acknowledged ORDER BY id')
  return rows.map((row) => row['id'])
}

describe(
  'PostgreSQL 18: rejoin',
  { skip: !availableMajors().includes(18) && 'not installed' },
  () => {
    test('without pg_rewind clones anew and keeps the old directory', async () => {
      await using house = await makeHouse({ major: 18, backup: false })
      await bringUp(house.context())
      await diverge(house)
      await assert.rejects(bringUp(house.context()), withCode('SPLIT_BRAIN'))
      const { way, reasons, keptAside } = await rejoinServer(house.context(), 'db1')
      assert.equal(way, 'clone')
      assert.match(reasons.join('\n'), /which the primary left at/)
      assert.match(reasons.join('\n'), /there is no pg_rewind/)
      assert.equal(keptAside.length, 1)
      assert.ok(existsSync(`${keptAside[0]}/PG_VERSION`))
      await isInOrder(house, 'db2')
      assert.deepEqual(await idsOn(house, 'db1'), [2])
      assert.ok(existsSync(`${keptAside[0]}/PG_VERSION`), 'up does not remove it')
    })

    test('of a standby whose WAL the primary gave up takes it from the backup server', async () => {
      await using base = await makeHouse({ major: 18 })
      const replication = { ...base.wanted.replication, walKeepBytes: 0 }
      const house = openHouse(base.path, { ...base.wanted, replication }, async () => undefined)
      await bringUp(house.context())
      await makeTable(house)
      await using vault = await Vault.open(house)
      await vault.has(1, 1n)
      const db2 = house.wanted.servers[1] as ServerWanted
      await stopServer(await instanceOf(house.context(), db2), { timeoutMs: 30_000 })
      await house.query('db1', "SELECT pg_drop_replication_slot('backstay_db2')")
      for (let round = 1; round <= 4; round += 1) {
        await house.query('db1', `INSERT INTO acknowledged VALUES (${round}, 1)`)
        await house.query('db1', 'SELECT pg_switch_wal()')
        await house.query('db1', 'CHECKPOINT')
      }
      const [row] = await house.query('db1', 'SELECT pg_current_wal_flush_lsn() AS lsn')
      await vault.has(1, row?.['lsn'] as bigint)
      const { way, reasons } = await rejoinServer(house.context(), 'db2')
      assert.equal(way, 'catch-up', reasons.join('\n'))
      await isInOrder(house, 'db1')
      assert.deepEqual(await idsOn(house, 'db2'), [1, 2, 3, 4])
    })

    test('of a server that streams there is nothing to do; the only primary is refused', async () => {
      await using house = await makeHouse({ major: 18, backup: false })
      await bringUp(house.context())
      assert.equal((await rejoinServer(house.context(), 'db2')).way, 'already')
      await assert.rejects(rejoinServer(house.context(), 'db1'), withCode('SPLIT_BRAIN'))
      await assert.rejects(rejoinServer(house.context(), 'db9'), withCode('USAGE'))
    })
  },
)

const debian = debianBinaries(15)

describe('PostgreSQL 15: rejoin', { skip: debian === undefined && 'no pg_rewind here' }, () => {
  test('winds back a former primary that still runs, and keeps its own WAL', async () => {
    await using base = await makeHouse({ major: 15, backup: false })
    const postgres = { ...base.wanted.postgres, binaries: debian }
    const house = openHouse(base.path, { ...base.wanted, postgres }, async () => undefined)
    await bringUp(house.context())
    await diverge(house)
    const { way, reasons, keptAside } = await rejoinServer(house.context(), 'db1')
    assert.equal(way, 'rewind', reasons.join('\n'))
    assert.equal(keptAside.length, 1)
    assert.match((await readdir(keptAside[0] ?? '')).join(), /^00000001/)
    await isInOrder(house, 'db2')
    assert.deepEqual(await idsOn(house, 'db1'), [2])
    const back = await switchOver(house.context(), { to: 'db1' })
    assert.equal(back.primary, 'db1')
    assert.deepEqual(await idsOn(house, 'db1'), [2])
  })
})
