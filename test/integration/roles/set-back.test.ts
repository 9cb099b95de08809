/**
 * A primary that was set back to a cold copy and wrote on is on the same timeline as before, and is not on the same line as a standby that
 * had gone on: no number and no position tells, only the WAL itself.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'
import { checkCluster } from '../../../src/report/check.ts'
import { failOver } from '../../../src/failover/failover.ts'
import { recloneStandby } from '../../../src/failover/reclone.ts'
import { rejoinServer } from '../../../src/failover/rejoin.ts'
import { switchOver } from '../../../src/failover/switchover.ts'
import { clusterStatus } from '../../../src/report/status.ts'
import { bringUp } from '../../../src/build/up.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { until } from '../../harness/until.ts'
import { type House, makeHouse } from '../cluster/house.ts'
import {
  crash,
  isInOrder,
  NOTHING,
  postmasterOf,
  primariesOf,
  stopStandby,
  Vault,
  withCode,
} from './support.ts'

/** With its owners. */
async function copy(from: string, to: string): Promise<void> {
  await promisify(execFile)('cp', ['-a', from, to])
}

/** db1 as it is, in order. */
async function coldCopy(house: House): Promise<() => Promise<void>> {
  const directory = house.wanted.servers[0]?.directory ?? ''
  const start = await stopStandby(house, 'db1')
  await copy(directory, `${directory}.copy`)
  await start()
  return async () => {
    const again = await stopStandby(house, 'db1')
    await rm(directory, { recursive: true })
    await copy(`${directory}.copy`, directory)
    await again()
  }
}

async function write(house: House, who: string, rows: number): Promise<void> {
  for (let row = 0; row < rows; row += 1) {
    await house.query('db1', `INSERT INTO rows VALUES (${row}, '${who}')`)
  }
}

async function lsnOf(house: House, name: string): Promise<unknown> {
  const [row] = await house.query(
    name,
    `SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text AS lsn`,
  )
  return row?.['lsn']
}

async function isEven(house: House): Promise<void> {
  await until('db2 to have replayed all', async () => {
    return (await lsnOf(house, 'db1')) === (await lsnOf(house, 'db2'))
  })
}

async function isAttached(house: House): Promise<void> {
  await until('db2 to stream', async () => {
    const query = `SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'`
    return (await house.query('db1', query)).length > 0
  })
}

/** db2 has what db1 wrote before it was set back; db1 writes `after` rows of its own. */
async function setBack(rows: {
  readonly before: number
  readonly after: number
  /** Whether db2 is down while db1 is set back and writes. */
  readonly isApart?: boolean
}): Promise<House> {
  const house = await makeHouse({ major: 18, backup: false, parameters: { autovacuum: 'off' } })
  await bringUp(house.context())
  await house.query('db1', 'CREATE TABLE rows (id int, who text)')
  await isEven(house)
  const back = await coldCopy(house)
  await isAttached(house)
  await write(house, 'before', rows.before)
  await isEven(house)
  if (rows.isApart === true) await stopStandby(house, 'db2')
  await back()
  await write(house, 'after', rows.after)
  return house
}

/** db1 has nothing left of what it wrote so far. */
async function giveUpWal(house: House): Promise<void> {
  await house.query('db1', 'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots')
  await house.query('db1', 'ALTER SYSTEM SET wal_keep_size = 0')
  await house.query('db1', 'SELECT pg_reload_conf()')
  for (let round = 0; round < 4; round += 1) {
    await write(house, 'after', 1)
    await house.query('db1', 'SELECT pg_switch_wal()')
    await house.query('db1', 'CHECKPOINT')
  }
  await house.query('db1', 'ALTER SYSTEM RESET wal_keep_size')
  await house.query('db1', 'SELECT pg_reload_conf()')
}

async function switchWal(house: House, who: string, segments: number): Promise<void> {
  for (let segment = 0; segment < segments; segment += 1) {
    await write(house, who, 1)
    await house.query('db1', 'SELECT pg_switch_wal()')
  }
}

function seconds(): number {
  return Math.floor(Date.now() / 1000)
}

async function recloneDied(): Promise<House> {
  const house = await makeHouse({ major: 18, backup: false, parameters: { autovacuum: 'off' } })
  await bringUp(house.context())
  await house.query('db1', 'CREATE TABLE rows (id int, who text)')
  await isEven(house)
  // What is set aside is named after the second.
  const second = seconds()
  await until('the second in which db1 was started to be over', async () => seconds() > second)
  await dieRecloning(house)
  return house
}

/** Right after db2's directory was set aside. */
async function dieRecloning(house: House): Promise<void> {
  const crashPoint = async (name: string): Promise<void> => {
    if (name === 'reclone.aside') throw new Error('died')
  }
  const reclone = recloneStandby(house.context({ crashPoint }), 'db2', { discardOld: false })
  await assert.rejects(reclone, /died/)
}

/** What lies beside db2's directory, from its name on. */
async function asidesOf(house: House): Promise<readonly string[]> {
  const names = await readdir(house.path)
  return names.filter((name) => name.startsWith('db2.old-')).map((name) => name.slice(3))
}

/** By a clone, and what db2 had is kept. */
async function isRejoined(house: House): Promise<void> {
  await isCloned(house)
  await isInOrder(house, 'db1')
}

async function isCloned(house: House): Promise<void> {
  const { way, keptAside, reasons } = await rejoinServer(house.context(), 'db2')
  assert.deepEqual([way, keptAside.length], ['clone', 1], reasons.join('; '))
  await isEven(house)
  const rows = await house.query('db2', 'SELECT DISTINCT who FROM rows')
  assert.deepEqual(rows, [{ who: 'after' }])
}

/** db2 is down behind what the backup server has of it; db1 was set back, has passed both, and has WAL of its own where the latter ends. */
async function setBackBesideVault(): Promise<House> {
  const house = await makeHouse({ major: 18, parameters: { autovacuum: 'off' } })
  await bringUp(house.context())
  await house.query('db1', 'CREATE TABLE rows (id int, who text)')
  await isEven(house)
  const back = await coldCopy(house)
  await isAttached(house)
  {
    await using vault = await Vault.open(house)
    await write(house, 'before', 10)
    await isEven(house)
    await stopStandby(house, 'db2')
    await switchWal(house, 'before', 6)
    const [row] = await house.query('db1', 'SELECT pg_current_wal_flush_lsn() AS lsn')
    await vault.has(1, row?.['lsn'] as bigint)
  }
  await back()
  await giveUpWal(house)
  await switchWal(house, 'after', 4)
  return house
}

describe(
  'PostgreSQL 18: a primary that was set back on its timeline',
  { skip: !availableMajors().includes(18) && 'not installed' },
  () => {
    for (const [title, before, after] of [
      ['is behind its standby', 500, 10],
      ['has passed its standby', 10, 500],
    ] as const) {
      test(`and ${title} is not failed over from without consent`, async () => {
        await using house = await setBack({ before, after })
        await crash(house, 'db1')
        await assert.rejects(
          failOver(house.context(), NOTHING),
          withCode('DATA_LOSS', /"db2" does not have what "db1" wrote last/),
        )
        assert.deepEqual(await primariesOf(house), [])
        const result = await failOver(house.context(), { ...NOTHING, allowDataLoss: true })
        assert.deepEqual([result.primary, result.loss?.kind], ['db2', 'unknown'])
        assert.ok(!result.isFollowed, 'what db1 wrote is not given up unasked')
        const rows = await house.query('db2', 'SELECT DISTINCT who FROM rows')
        assert.deepEqual(rows, [{ who: 'before' }])
      })
    }

    test('and is behind its standby is named everywhere, and not switched over from; a rejoin clones', async () => {
      await using house = await setBack({ before: 500, after: 10 })
      const ahead = /has replayed WAL that is not on/
      const status = await clusterStatus(house.context())
      const db2 = status.servers.find(({ name }) => name === 'db2')
      assert.equal(db2?.state, 'detached')
      assert.match(db2?.reason ?? '', ahead)
      const findings = await checkCluster(house.context())
      const attached = findings.find(({ check }) => check === 'replication.attached')
      assert.equal(attached?.status, 'fail')
      const up = await bringUp(house.context())
      assert.deepEqual(
        up.problems.map(({ code, server }) => [code, server]),
        [['POSTGRES_IDENTITY', 'db2']],
      )
      assert.match(up.problems[0]?.message ?? '', ahead)
      const pid = await postmasterOf(house, 'db1')
      await assert.rejects(switchOver(house.context(), { to: 'db2' }), withCode('NOT_READY', ahead))
      assert.equal(await postmasterOf(house, 'db1'), pid)
      await isRejoined(house)
    })

    test('and stands where its standby does is not followed by it', async () => {
      await using house = await setBack({ before: 50, after: 60, isApart: true })
      await isRejoined(house)
    })

    test('is not followed by a standby that the backup server has more of the dead line for', async () => {
      await using house = await setBackBesideVault()
      await isCloned(house)
    })

    test('and has no WAL any more to compare with: a reclone keeps what the backup server has no backup for', async () => {
      await using house = await setBackBesideVault()
      const { keptAside } = await recloneStandby(house.context(), 'db2', { discardOld: false })
      assert.equal(keptAside.length, 1)
      assert.ok(existsSync(`${keptAside[0]}/PG_VERSION`), 'up does not remove it')
    })

    test('after a reclone died: up keeps what it had set aside, and removes it where the primary is the same', async () => {
      await using house = await recloneDied()
      const standby = house.wanted.servers[1]?.directory ?? ''
      const [first = ''] = await asidesOf(house)
      await bringUp(house.context())
      assert.ok(!existsSync(`${standby}${first}`), 'the primary has all of it')
      await isEven(house)
      const back = await coldCopy(house)
      await isAttached(house)
      await write(house, 'before', 10)
      await isEven(house)
      await dieRecloning(house)
      const [second = ''] = await asidesOf(house)
      await back()
      await write(house, 'after', 1)
      await bringUp(house.context())
      assert.ok(existsSync(`${standby}${second}/PG_VERSION`))
      await isInOrder(house, 'db1')
      assert.ok(existsSync(`${standby}${second}/PG_VERSION`), 'up does not remove it later')
    })

    test('and has no WAL any more to compare with: a reclone keeps what only the standby has', async () => {
      await using house = await setBack({ before: 50, after: 60, isApart: true })
      await giveUpWal(house)
      const { keptAside } = await recloneStandby(house.context(), 'db2', { discardOld: false })
      assert.equal(keptAside.length, 1)
      await isInOrder(house, 'db1')
      assert.ok(existsSync(`${keptAside[0]}/PG_VERSION`), 'up does not remove it')
    })
  },
)
