/**
 * Standbys on one timeline with other WAL: db1 and db2 were set back to a snapshot of their storage and went on, db3 kept what was before.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'
import { failOver } from '../../../src/failover/failover.ts'
import { rejoinServer } from '../../../src/failover/rejoin.ts'
import { bringUp } from '../../../src/build/up.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { until } from '../../harness/until.ts'
import { type House, makeHouse } from '../cluster/house.ts'
import {
  crash,
  DEAD,
  isInOrder,
  NOTHING,
  primariesOf,
  stopStandby,
  synchronous,
  Vault,
  withCode,
  without,
} from './support.ts'

const SKIP = { skip: !availableMajors().includes(18) && 'not installed' }
const run = promisify(execFile)
const REPLAYED = 'SELECT pg_last_wal_replay_lsn() AS lsn'

async function isEven(house: House, standby: string): Promise<void> {
  const [row] = await house.query('db1', 'SELECT pg_current_wal_flush_lsn() AS lsn')
  await until(`${standby} to have all`, async () => {
    const [found] = await house.query(standby, REPLAYED)
    return (found?.['lsn'] as bigint) >= (row?.['lsn'] as bigint)
  })
}

async function write(house: House, who: string, count: number): Promise<void> {
  const insert = `INSERT INTO rows SELECT n, '${who}'; COMMIT;`
  const loop = `DO $$ BEGIN FOR n IN 1..${count} LOOP ${insert} END LOOP; END $$`
  await house.query('db1', loop)
}

async function streams(house: House, standby: string): Promise<void> {
  const sql = `SELECT 1 FROM pg_stat_replication WHERE application_name = '${standby}' AND state = 'streaming'`
  await until(`${standby} to stream`, async () => (await house.query('db1', sql)).length > 0)
}

/** Servers in order are set back to what they held before `between`. */
async function setBack(
  house: House,
  names: readonly string[],
  between: () => Promise<void>,
): Promise<void> {
  const directories = house.wanted.servers
    .filter(({ name }) => names.includes(name))
    .map(({ directory }) => directory)
  const starts: (() => Promise<void>)[] = []
  for (const name of names) starts.push(await stopStandby(house, name))
  for (const each of directories) await run('cp', ['-a', each, `${each}.copy`])
  for (const start of starts) await start()
  await between()
  for (const name of names) await stopStandby(house, name)
  for (const each of directories) {
    await rm(each, { recursive: true })
    await run('cp', ['-a', `${each}.copy`, each])
  }
  for (const start of starts) await start()
}

/** Ten rows that only db1 and db2 have, and 500 that only db3 has; then db1 crashes. */
async function partedHouse(house: House): Promise<void> {
  await bringUp(house.context())
  await house.query('db1', 'CREATE TABLE rows (id int, who text)')
  await isEven(house, 'db2')
  await isEven(house, 'db3')
  await setBack(house, ['db1', 'db2'], async () => {
    await write(house, 'before', 500)
    await isEven(house, 'db2')
    await isEven(house, 'db3')
  })
  await streams(house, 'db2')
  await write(house, 'after', 10)
  await isEven(house, 'db2')
  await crash(house, 'db1')
}

async function rowsOn(house: House, server: string): Promise<unknown> {
  const sql = 'SELECT who, count(*)::int AS rows FROM rows GROUP BY who'
  return Object.fromEntries(
    (await house.query(server, sql)).map(({ who, rows }) => [String(who), rows]),
  )
}

async function makeParted(standbys: number): Promise<{ base: House; house: House }> {
  const parameters = { autovacuum: 'off' }
  const base = await makeHouse({ major: 18, backup: false, standbys, parameters })
  return { base, house: synchronous(base) }
}

describe('PostgreSQL 18: a standby whose WAL is another on the same timeline', SKIP, () => {
  test('confirms nothing of the others: the loss is unknown, whoever is to take over', async () => {
    const { base, house } = await makeParted(2)
    await using _base = base
    await partedHouse(house)
    for (const to of [undefined, 'db2', 'db3']) {
      const wish = to === undefined ? DEAD : { ...DEAD, to }
      await assert.rejects(
        failOver(without(house, 'db1'), wish),
        withCode('DATA_LOSS', /the WAL of "db[23]" is another than that of "db[23]"/),
      )
    }
    assert.deepEqual(await primariesOf(house), [])
    const allowed = { ...DEAD, to: 'db2', allowDataLoss: true }
    const { primary, problems } = await failOver(without(house, 'db1'), allowed)
    assert.equal(primary, 'db2')
    assert.deepEqual(await rowsOn(house, 'db2'), { after: 10 })
    assert.match(problems.map(({ hint }) => hint).join(), /backstay rejoin db3/)
    const again = await bringUp(without(house, 'db1'))
    assert.deepEqual(again.done, [])
    const { way, keptAside } = await rejoinServer(without(house, 'db1'), 'db3')
    assert.deepEqual([way, keptAside.length], ['clone', 1])
    assert.deepEqual(await rowsOn(house, 'db3'), { after: 10 })
  })

  test('is kept apart when the right one takes over from a primary whose WAL can be read', async () => {
    const { base, house } = await makeParted(3)
    await using _base = base
    await partedHouse(house)
    const result = await failOver(house.context(), { ...NOTHING, to: 'db2' })
    assert.deepEqual([result.primary, result.loss?.kind, result.isFollowed], ['db2', 'none', true])
    assert.deepEqual(await rowsOn(house, 'db2'), { after: 10 })
    assert.match(
      result.problems.map(({ message }) => message).join(),
      /"db3" was fenced by a failover/,
    )
    for (const name of ['db3', 'db4']) {
      assert.equal((await rejoinServer(house.context(), name)).way, 'clone')
    }
    await isInOrder(house, 'db2')
  })
})

describe('PostgreSQL 18: a backup server whose WAL is another on the same timeline', SKIP, () => {
  test('confirms nothing: the loss is unknown', async () => {
    await using base = await makeHouse({ major: 18, parameters: { autovacuum: 'off' } })
    const house = synchronous(base)
    await bringUp(house.context())
    await using vault = await Vault.open(house)
    await vault.has(1, 1n)
    await bringUp(house.context())
    await house.query('db1', 'CREATE TABLE rows (id int, who text)')
    await isEven(house, 'db2')
    await setBack(house, ['db1', 'db2'], async () => {
      await write(house, 'before', 500)
      const [row] = await house.query('db1', 'SELECT pg_current_wal_flush_lsn() AS lsn')
      await vault.has(1, row?.['lsn'] as bigint)
      await isEven(house, 'db2')
    })
    await streams(house, 'db2')
    await write(house, 'after', 10)
    await isEven(house, 'db2')
    await crash(house, 'db1')
    await assert.rejects(
      failOver(without(house, 'db1'), DEAD),
      withCode('DATA_LOSS', /the WAL of "vault" is another than that of "db2"/),
    )
  })
})
