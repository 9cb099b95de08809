/**
 * A change of roles whose machine slept, and whose lock another operator had meanwhile: however the servers look when it wakes, what it had
 * planned holds no more, and it makes no second primary.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ClusterContext } from '../../../src/cluster/context.ts'
import { failOver, type FailoverOptions } from '../../../src/failover/failover.ts'
import { switchOver } from '../../../src/failover/switchover.ts'
import { bringUp } from '../../../src/build/up.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { until } from '../../harness/until.ts'
import { type House, makeHouse } from '../cluster/house.ts'
import { loseLocks, secondOperator } from './second-operator.ts'
import { crash, isInOrder, primariesOf, stopStandby, withCode, without } from './support.ts'
import { makeTable } from './writer.ts'

const ALL: FailoverOptions = { allowDataLoss: true, primaryIsDead: true, planOnly: false }
const PROVED: FailoverOptions = { allowDataLoss: false, primaryIsDead: false, planOnly: false }

/** Three servers with a table, and the second operator. */
async function built(house: House): Promise<House> {
  await bringUp(house.context())
  await makeTable(house)
  return await secondOperator(house)
}

/** From the lost or stopped db1 to db3 and back: every role is as it was, on a timeline two further. */
async function thereAndBack(house: House, second: House): Promise<void> {
  await failOver(second.context(), { ...ALL, to: 'db3' })
  await bringUp(second.context())
  await switchOver(second.context(), { to: 'db1' })
  await house.query('db1', 'CREATE TABLE of_second AS SELECT 1 AS a')
}

async function isServing(house: House, name: string): Promise<void> {
  assert.deepEqual(await primariesOf(house), [name])
  assert.deepEqual(await house.query(name, 'SELECT a FROM of_second'), [{ a: 1 }])
}

/** A context that does something right after its first look at the cluster, before anything is made of it. */
function afterLook(context: ClusterContext, work: () => Promise<unknown>): ClusterContext {
  let isDone = false
  const state = new Proxy(context.state, {
    get: (target, key) => {
      const value = Reflect.get(target, key, target) as unknown
      if (typeof value !== 'function') return value
      return async (...given: unknown[]): Promise<unknown> => {
        if (key === 'readLeader' && !isDone) {
          isDone = true
          await work()
        }
        return Reflect.apply(value, target, given) as unknown
      }
    },
  })
  return { ...context, state }
}

for (const major of availableMajors().filter((each) => each === 11 || each === 18)) {
  describe(`PostgreSQL ${major}: one that slept`, () => {
    for (const at of major === 11 ? ['promote'] : ['fence', 'promote']) {
      test(`at "failover.${at}" through a failover and a switchover back promotes nobody`, async () => {
        await using house = await makeHouse({ major, backup: false, standbys: 2 })
        const second = await built(house)
        await crash(house, 'db1')
        const crashPoint = async (name: string): Promise<void> => {
          if (name !== `failover.${at}`) return
          await loseLocks(house)
          await thereAndBack(house, second)
        }
        const slept = failOver(house.context({ crashPoint }), { ...PROVED, to: 'db2' })
        await assert.rejects(slept, withCode('NOT_READY', /lock on changes of roles was lost/))
        await isServing(house, 'db1')
        // Typed again it sees who is primary, and nothing of it stands in the way any more.
        await assert.rejects(
          failOver(house.context(), ALL),
          withCode('NOT_READY', /given up.*"db1"/),
        )
        await isInOrder(house, 'db1')
      })
    }

    for (const at of major === 11 ? ['promote'] : ['stop', 'promote']) {
      test(`at "switchover.${at}" through a failover and a switchover back stops nobody and promotes nobody`, async () => {
        await using house = await makeHouse({ major, backup: false, standbys: 2 })
        const second = await built(house)
        let startedAt: unknown
        const startOf = async (): Promise<unknown> =>
          (await house.query('db1', 'SELECT pg_postmaster_start_time()::text AS at'))[0]?.['at']
        const crashPoint = async (name: string): Promise<void> => {
          if (name !== `switchover.${at}`) return
          await loseLocks(house)
          if (at === 'stop') await crash(house, 'db1')
          await thereAndBack(house, second)
          startedAt = await startOf()
        }
        const slept = switchOver(house.context({ crashPoint }), { to: 'db2' })
        await assert.rejects(slept, withCode(at === 'stop' ? 'NOT_READY' : 'UNFINISHED'))
        await isServing(house, 'db1')
        assert.equal(await startOf(), startedAt)
      })
    }

    test('promotes nobody beside one that it did not see', async () => {
      await using house = await makeHouse({ major, backup: false, standbys: 2 })
      const second = await built(house)
      const startDb3 = await stopStandby(house, 'db3')
      await crash(house, 'db1')
      const crashPoint = async (name: string): Promise<void> => {
        if (name !== 'failover.promote') return
        await loseLocks(house)
        await startDb3()
        await until('db3 to answer', async () =>
          house.query('db3', 'SELECT 1').then(
            () => true,
            () => false,
          ),
        )
        await failOver(second.context(), { ...ALL, to: 'db3' })
        await house.query('db3', 'CREATE TABLE of_second AS SELECT 1 AS a')
      }
      const slept = failOver(house.context({ crashPoint }), { ...ALL, to: 'db2' })
      await assert.rejects(slept, withCode('NOT_READY', /lock on changes of roles was lost/))
      await isServing(house, 'db3')
    })

    test('and does not reach the new primary brings no old one back beside it', async () => {
      await using house = await makeHouse({ major, backup: false, standbys: 2 })
      const second = await built(house)
      const away = without(house, 'db3')
      const crashPoint = async (name: string): Promise<void> => {
        if (name !== 'switchover.promote') return
        await loseLocks(house)
        await failOver(second.context(), { ...ALL, to: 'db3' })
        await house.query('db3', 'CREATE TABLE of_second AS SELECT 1 AS a')
      }
      const slept = switchOver({ ...away, crashPoint }, { to: 'db2' })
      await assert.rejects(slept, withCode('UNFINISHED', /is on timeline 2/))
      await isServing(house, 'db3')
      await assert.rejects(switchOver(away), withCode('NOT_READY', /given up: .* timeline 2/))
      await isServing(house, 'db3')
    })

    test('between its look and its lock decides on what it sees when it wakes', async () => {
      await using house = await makeHouse({ major, backup: false, standbys: 2 })
      const second = await built(house)
      await crash(house, 'db1')
      const context = afterLook(house.context(), async () => thereAndBack(house, second))
      const slept = failOver(context, { ...ALL, to: 'db2' })
      await assert.rejects(slept, withCode('NOT_READY', /"db1" answers as the primary/))
      await isServing(house, 'db1')
    })

    test('and nobody did anything: the old primary serves again, or the next failover goes on', async () => {
      await using house = await makeHouse({ major, backup: false, standbys: 2 })
      await built(house)
      const sleepAt =
        (at: string) =>
        async (name: string): Promise<void> => {
          if (name === at) await loseLocks(house)
        }
      const context = house.context({ crashPoint: sleepAt('switchover.promote') })
      const taken = withCode('NOT_READY', /taken back, "db1" is primary again/)
      await assert.rejects(switchOver(context, { to: 'db2' }), taken)
      await bringUp(house.context())
      await isInOrder(house, 'db1')
      await crash(house, 'db1')
      const again = house.context({ crashPoint: sleepAt('failover.promote') })
      await assert.rejects(failOver(again, { ...PROVED, to: 'db2' }), withCode('NOT_READY'))
      await failOver(house.context(), PROVED)
      await bringUp(house.context())
      await isInOrder(house, 'db2')
    })
  })
}
