/**
 * Whom a failover takes for the lost primary when what is remembered is old: another operator has changed roles since, or the same one
 * could not write it down. Nobody is ended, promoted beside a primary that lives, or called whole on the word of such a note.
 */
import assert from 'node:assert/strict'
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { failOver } from '../../../src/failover/failover.ts'
import { switchOver } from '../../../src/failover/switchover.ts'
import { bringUp } from '../../../src/build/up.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { until } from '../../harness/until.ts'
import { type House, makeHouse, openHouse } from '../cluster/house.ts'
import {
  crash,
  isInOrder,
  NOTHING,
  postmasterOf,
  primariesOf,
  stopStandby,
  withCode,
  without,
} from './support.ts'

async function builtHouse(standbys = 2): Promise<House> {
  const house = await makeHouse({ major: 18, backup: false, standbys })
  await bringUp(house.context())
  await house.query('db1', 'CREATE TABLE rows (id int)')
  return house
}

/** Another operator's machine, which knows what is known now. */
async function secondOperator(house: House): Promise<House> {
  const stateDirectory = join(house.path, 'second-operator')
  await cp(house.wanted.stateDirectory, stateDirectory, { recursive: true })
  return openHouse(house.path, { ...house.wanted, stateDirectory }, async () => undefined)
}

async function remember(house: House, server: string): Promise<void> {
  const note = { server, timeline: 1, synchronousNames: '', asynchronous: [] }
  await house.context().state.writeLeader(note)
}

/** Its standbys hear of a primary that writes at once; of one that is idle every 30 s. */
async function whileWriting<T>(house: House, work: Promise<T>): Promise<T> {
  let isEnded = false
  const end = (): void => void (isEnded = true)
  work.then(end, end)
  await until('the end of the failover', async () => {
    await house.query('db2', 'INSERT INTO rows VALUES (0)')
    return isEnded
  })
  return await work
}

/** db1's machine is away and db2 was promoted; it wrote 1000 rows that only it has, and crashed. db1's machine is back. */
async function twoPrimariesAgo(house: House): Promise<void> {
  await stopStandby(house, 'db1')
  const consent = { ...NOTHING, allowDataLoss: true, primaryIsDead: true }
  await failOver(without(house, 'db1'), { ...consent, to: 'db2' })
  await house.query('db2', 'INSERT INTO rows VALUES (1)')
  await until('db3 to have it', async () => {
    return (await house.query('db3', 'SELECT 1 FROM rows')).length === 1
  })
  const start = await stopStandby(house, 'db3')
  await house.query('db2', 'INSERT INTO rows SELECT n FROM generate_series(2, 1000) AS n')
  await crash(house, 'db2')
  await start()
}

async function rowsOf(house: House, name: string): Promise<unknown> {
  const [row] = await house.query(name, 'SELECT count(*)::int AS rows FROM rows')
  return row?.['rows']
}

describe(
  'PostgreSQL 18: a failover whose note of the primary is old',
  { skip: !availableMajors().includes(18) && 'not installed' },
  () => {
    for (const hasNote of [true, false]) {
      const title = hasNote ? 'is old' : 'is missing'
      test(`does not touch a standby, nor promote beside the primary whose host does not answer, when the note ${title}`, async () => {
        await using house = await builtHouse()
        const second = await secondOperator(house)
        if (!hasNote) await rm(join(second.wanted.stateDirectory, 'leader.json'))
        assert.equal((await switchOver(house.context(), { to: 'db2' })).primary, 'db2')
        const pids = [await postmasterOf(house, 'db1'), await postmasterOf(house, 'db3')]
        for (const to of ['db1', 'db3']) {
          const options = { ...NOTHING, to }
          const planned = await failOver(without(second, 'db2'), { ...options, planOnly: true })
          assert.deepEqual([planned.from, planned.plan?.fencing], ['db2', 'unreachable'])
          await assert.rejects(failOver(without(second, 'db2'), options), withCode('DATA_LOSS'))
        }
        await assert.rejects(
          whileWriting(
            house,
            failOver(without(second, 'db2'), { ...NOTHING, allowDataLoss: true }),
          ),
          withCode('SPLIT_BRAIN', /still receives from it: it is alive/),
        )
        const now = [await postmasterOf(house, 'db1'), await postmasterOf(house, 'db3')]
        assert.deepEqual([await primariesOf(house), now], [['db2'], pids])
        await isInOrder(house, 'db2')
      })
    }

    test('from a primary that left a standby behind on an older timeline reads the last one', async () => {
      await using house = await builtHouse()
      const second = await secondOperator(house)
      await twoPrimariesAgo(house)
      const { plan, loss } = await failOver(second.context(), { ...NOTHING, planOnly: true })
      assert.deepEqual([plan?.from.name, plan?.to.name, loss?.kind], ['db2', 'db3', 'none'])
      const result = await failOver(second.context(), NOTHING)
      assert.equal(result.primary, 'db3')
      assert.equal(await rowsOf(house, 'db3'), 1000)
    })

    test('does not call a standby whole whose timeline a server wrote that is lost', async () => {
      await using house = await builtHouse()
      const second = await secondOperator(house)
      await twoPrimariesAgo(house)
      await rm(house.wanted.servers[1]?.directory ?? '', { recursive: true })
      await assert.rejects(
        failOver(second.context(), NOTHING),
        withCode('DATA_LOSS', /which somebody wrote who was primary after it/),
      )
      assert.deepEqual(await primariesOf(house), [])
    })

    test('goes from the last primary when its own operator could not note it', async () => {
      await using house = await builtHouse(3)
      await stopStandby(house, 'db4')
      await rm(join(house.wanted.servers[3]?.directory ?? '', 'global/pg_filenode.map'))
      await twoPrimariesAgo(house)
      await remember(house, 'db1')
      const result = await failOver(house.context(), NOTHING)
      assert.deepEqual([result.from, result.primary, result.loss?.kind], ['db2', 'db3', 'none'])
      assert.equal(await rowsOf(house, 'db3'), 1000)
    })
  },
)
