/**
 * Failover on real servers: what others hold is not lost, what would be lost is said, and nobody is promoted beside a
 * primary that may be alive.
 */
import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { describe, test } from 'node:test'
import { type ClusterContext, clusterContext } from '../../../src/cluster/context.ts'
import { failOver, type FailoverOptions } from '../../../src/cluster/roles/failover.ts'
import { rejoinServer } from '../../../src/cluster/roles/rejoin.ts'
import { clusterStatus } from '../../../src/cluster/status.ts'
import { bringUp } from '../../../src/cluster/up.ts'
import { instanceOf } from '../../../src/cluster/steps/act-context.ts'
import type { ClusterWanted, ServerWanted } from '../../../src/cluster/wanted.ts'
import { BackstayError } from '../../../src/errors/backstay-error.ts'
import { LocalHost } from '../../../src/host/local-host.ts'
import { startServer, stopServer } from '../../../src/host/postgres-control.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { until } from '../../harness/until.ts'
import { type House, makeHouse, openHouse } from '../cluster/house.ts'
import { isInOrder, postmasterOf, primariesOf, synchronous, Vault, withCode } from './support.ts'
import { lostRows, makeTable, Writer } from './writer.ts'

const majors = availableMajors()
const NOTHING: FailoverOptions = { allowDataLoss: false, primaryIsDead: false, planOnly: false }

/** Stops a standby in order; what is written from here on it does not get. */
async function stopStandby(house: House, name: string): Promise<() => Promise<void>> {
  const context = house.context()
  const server = house.wanted.servers.find((each) => each.name === name) as ServerWanted
  const instance = await instanceOf(context, server)
  await stopServer(instance, { timeoutMs: 30_000 })
  return async () => {
    await startServer(instance, { timeoutMs: 30_000, logFile: `${server.directory}.log` })
  }
}

/** Ends a postmaster as a crash does, and waits until its children are gone. */
async function crash(house: House, server: string): Promise<void> {
  const pid = await postmasterOf(house, server)
  process.kill(pid, 'SIGKILL')
  const port = house.wanted.servers.find(({ name }) => name === server)?.port
  await until(`${server} to be gone`, async () => {
    const status = await clusterStatus(house.context())
    return status.servers.find((each) => each.port === port)?.state === 'stopped'
  })
}

/** A context in which the host of `server` does not answer. */
function without(house: House, server: string): ClusterContext {
  const home = new LocalHost('localhost')
  const wanted: ClusterWanted = {
    ...house.wanted,
    servers: house.wanted.servers.map((each) =>
      each.name === server ? { ...each, host: { ...each.host, address: 'gone' } } : each,
    ),
  }
  return clusterContext({
    wanted,
    home,
    openHost: async ({ address }) => {
      if (address !== 'gone') return home
      throw new BackstayError('HOST_UNREACHABLE', 'Cannot reach host "gone": no route to host')
    },
    clock: systemClock,
    signal: new AbortController().signal,
  })
}

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
