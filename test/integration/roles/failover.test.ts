/**
 * Failover on real servers: what others hold is not lost, what would be lost is said, and nobody is promoted beside a
 * primary that may be alive.
 */
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { describe, test } from 'node:test'
import type { ClusterContext } from '../../../src/cluster/context.ts'
import { failOver } from '../../../src/failover/failover.ts'
import { rejoinServer } from '../../../src/failover/rejoin.ts'
import { bringUp } from '../../../src/build/up.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { until } from '../../harness/until.ts'
import { makeHouse, openHouse } from '../cluster/house.ts'
import {
  crash,
  isInOrder,
  NOTHING,
  postmasterOf,
  primariesOf,
  stopStandby,
  synchronous,
  Vault,
  withCode,
  without,
} from './support.ts'
import { lostRows, makeTable, Writer } from './writer.ts'

const majors = availableMajors()

for (const major of majors.filter((each) => each === 11)) {
  describe(`PostgreSQL ${major}: failover`, () => {
    test('gives the standby the WAL that only the dead primary had, and the old one follows', async (t) => {
      await using house = await makeHouse({ major, standbys: 2, backup: false })
      await bringUp(house.context())
      await makeTable(house)
      await using writer = new Writer(house, 1)
      await until('rows', () => writer.acknowledged.length > 20)
      const start = [await stopStandby(house, 'db2'), await stopStandby(house, 'db3')]
      const before = writer.acknowledged.length
      await until('rows that no standby has', () => writer.acknowledged.length > before + 20)
      await crash(house, 'db1')
      for (const again of start) await again()
      const plan = await failOver(house.context(), { ...NOTHING, planOnly: true })
      assert.equal(plan.plan?.candidates.length, 2)
      assert.equal(plan.loss?.kind, 'none')
      assert.match(plan.loss.text, /the WAL of "db1" ends at .*, and all of it is there/)
      assert.deepEqual(await primariesOf(house), [])
      const result = await failOver(house.context(), NOTHING)
      t.diagnostic(`${result.loss?.text}`)
      assert.deepEqual(result.problems, [])
      await writer.stop()
      assert.deepEqual(await primariesOf(house), [result.primary])
      assert.deepEqual(await lostRows(house, result.primary ?? '', [writer]), [])
      await isInOrder(house, result.primary ?? '')
    })
  })
}

for (const major of majors.filter((each) => each === 11 || each === 18)) {
  test(`PostgreSQL ${major}: a standby that is named and lags behind the other is fed soon, and has every row`, async () => {
    await using house = await makeHouse({ major, standbys: 2, backup: false })
    await bringUp(house.context())
    await makeTable(house)
    await using writer = new Writer(house, 1)
    const start = await stopStandby(house, 'db2')
    await until('rows that db2 does not have', () => writer.acknowledged.length > 20)
    await crash(house, 'db1')
    await start()
    const startedAtMs = performance.now()
    const result = await failOver(house.context(), { ...NOTHING, to: 'db2' })
    assert.ok(performance.now() - startedAtMs < 120_000)
    await writer.stop()
    assert.equal(result.primary, 'db2')
    assert.deepEqual(await lostRows(house, 'db2', [writer]), [])
    await isInOrder(house, 'db2')
  })
}

describe('PostgreSQL 18: failover', { skip: !majors.includes(18) && 'not installed' }, () => {
  test('is refused while the primary answers', async () => {
    await using house = await makeHouse({ major: 18, backup: false })
    await bringUp(house.context())
    await assert.rejects(failOver(house.context(), NOTHING), withCode('NOT_READY', /"db1" answers/))
    await assert.rejects(
      failOver(house.context(), { ...NOTHING, allowDataLoss: true, primaryIsDead: true }),
      withCode('NOT_READY'),
    )
  })

  test('from a host that does not answer is refused while a standby still hears the primary', async () => {
    await using house = await makeHouse({ major: 18, backup: false })
    await bringUp(house.context())
    await makeTable(house)
    await using writer = new Writer(house, 1)
    await until('rows', () => writer.acknowledged.length > 5)
    await assert.rejects(
      failOver(without(house, 'db1'), { ...NOTHING, allowDataLoss: true }),
      withCode('SPLIT_BRAIN', /"db2" still receives from it: it is alive/),
    )
    assert.deepEqual(await primariesOf(house), ['db1'])
    await isInOrder(house, 'db1')
  })

  test('ends a primary that is frozen, and it starts as a standby afterwards', async () => {
    await using house = await makeHouse({ major: 18, backup: false })
    await bringUp(house.context())
    await makeTable(house)
    await using writer = new Writer(house, 1)
    await until('rows', () => writer.acknowledged.length > 20)
    const pid = await postmasterOf(house, 'db1')
    process.kill(pid, 'SIGSTOP')
    const result = await failOver(house.context(), NOTHING)
    assert.equal(result.plan?.fencing, 'hung')
    await writer.stop()
    assert.deepEqual(await primariesOf(house), ['db2'])
    assert.deepEqual(await lostRows(house, 'db2', [writer]), [])
    await isInOrder(house, 'db2')
  })

  test('from a host that does not answer needs to be told that commits may be lost', async () => {
    await using house = await makeHouse({ major: 18, backup: false })
    await bringUp(house.context())
    await crash(house, 'db1')
    const context = (): ClusterContext => without(house, 'db1')
    await assert.rejects(
      failOver(context(), NOTHING),
      withCode('DATA_LOSS', /nobody can say how much that is: its commits did not wait/),
    )
    await assert.rejects(
      failOver(context(), { ...NOTHING, primaryIsDead: true }),
      withCode('DATA_LOSS'),
    )
    const result = await failOver(context(), { ...NOTHING, allowDataLoss: true })
    assert.equal(result.loss?.kind, 'unknown')
    assert.equal(result.primary, 'db2')
    const up = await bringUp(house.context())
    assert.equal(up.primary, 'db2')
    assert.deepEqual(
      up.problems.map(({ code, server }) => [code, server]),
      [['SPLIT_BRAIN', 'db1']],
      'the old primary is not started as a second one',
    )
    const { way } = await rejoinServer(house.context(), 'db1')
    assert.equal(way, 'follow')
    await isInOrder(house, 'db2')
  })

  test('with synchronous commit proves that nothing acknowledged is lost, but not that the primary is dead', async () => {
    await using base = await makeHouse({ major: 18, standbys: 2, backup: false })
    const house = openHouse(
      base.path,
      { ...base.wanted, replication: { ...base.wanted.replication, synchronousStandbys: 1 } },
      async () => undefined,
    )
    await bringUp(house.context())
    await isInOrder(house, 'db1')
    await makeTable(house)
    await house.query('db1', 'CREATE ROLE batch; ALTER ROLE batch SET synchronous_commit = local')
    await house.query(
      'db1',
      'CREATE ROLE hasty; ALTER ROLE hasty SET synchronous_commit = remote_write',
    )
    await bringUp(house.context())
    await using writer = new Writer(house, 1)
    await until('rows', () => writer.acknowledged.length > 20)
    await crash(house, 'db1')
    const context = (): ClusterContext => without(house, 'db1')
    await assert.rejects(
      failOver(context(), NOTHING),
      withCode('DATA_LOSS', /it may still serve somebody/),
    )
    const result = await failOver(context(), { ...NOTHING, primaryIsDead: true })
    await writer.stop()
    assert.match(result.loss?.text ?? '', /confirmed by 1 of 2 \(db2, db3\), and 2 of them answer/)
    assert.match(
      result.loss?.text ?? '',
      /remote_write, as configured for role "(batch|hasty)", role "(batch|hasty)" did not wait/,
    )
    assert.deepEqual(await lostRows(house, result.primary ?? '', [writer]), [])
  })

  test('gives the standby what only the backup server has confirmed', async () => {
    await using base = await makeHouse({ major: 18 })
    const house = synchronous(base)
    await bringUp(house.context())
    await using vault = await Vault.open(house)
    await vault.has(1, 1n)
    await bringUp(house.context())
    await makeTable(house)
    const start = await stopStandby(house, 'db2')
    await using writer = new Writer(house, 1)
    await until('rows that the standby does not have', () => writer.acknowledged.length > 20)
    await crash(house, 'db1')
    await start()
    const result = await failOver(without(house, 'db1'), { ...NOTHING, primaryIsDead: true })
    await writer.stop()
    assert.match(
      result.loss?.text ?? '',
      /confirmed by 1 of 2 \(db2, vault\), and 2 of them answer/,
    )
    assert.deepEqual(await lostRows(house, 'db2', [writer]), [])
  })

  test('gives the standby WAL that the backup server holds only as the rest of a timeline', async () => {
    await using base = await makeHouse({ major: 18 })
    const house = synchronous(base)
    await bringUp(house.context())
    const vault = await Vault.open(house)
    await vault.has(1, 1n)
    await bringUp(house.context())
    await makeTable(house)
    const start = await stopStandby(house, 'db2')
    await using writer = new Writer(house, 1)
    await until('rows that the standby does not have', () => writer.acknowledged.length > 20)
    await crash(house, 'db1')
    await writer.stop()
    await vault[Symbol.asyncDispose]()
    await vault.shelveSpool()
    await start()
    const result = await failOver(without(house, 'db1'), { ...NOTHING, primaryIsDead: true })
    assert.equal(result.loss?.kind, 'none')
    assert.deepEqual(await lostRows(house, 'db2', [writer]), [])
  })

  test('of a primary whose directory is gone says so, and rejoin builds it anew', async () => {
    await using house = await makeHouse({ major: 18, backup: false })
    await bringUp(house.context())
    await crash(house, 'db1')
    const [db1] = house.wanted.servers
    await rm(db1?.directory ?? '', { recursive: true })
    await assert.rejects(failOver(house.context(), NOTHING), withCode('DATA_LOSS'))
    const result = await failOver(house.context(), { ...NOTHING, allowDataLoss: true })
    assert.equal(result.plan?.fencing, 'gone')
    const { way } = await rejoinServer(house.context(), 'db1')
    assert.equal(way, 'built')
    await isInOrder(house, 'db2')
  })
})
