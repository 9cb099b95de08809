/**
 * Two operators on two machines, each with a state directory of their own, change roles of one cluster at once: one of them
 * does it, the other is told who does, and there is one primary with every acknowledged row.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { failOver, type FailoverOptions } from '../../../src/failover/failover.ts'
import { switchOver } from '../../../src/failover/switchover.ts'
import { bringUp } from '../../../src/build/up.ts'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { until } from '../../harness/until.ts'
import { makeHouse } from '../cluster/house.ts'
import { loseLocks, secondOperator } from './second-operator.ts'
import { crash, isInOrder, primariesOf } from './support.ts'
import { lostRows, makeTable, Writer } from './writer.ts'

const ALL: FailoverOptions = { allowDataLoss: true, primaryIsDead: true, planOnly: false }

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'done'
  } catch (error) {
    assert.ok(isBackstayError(error), String(error))
    return error.code
  }
}

/** Runs `first`, and `second` when the first has come to its step `at`. */
async function meanwhile(
  at: string,
  first: (crashPoint: (name: string) => Promise<void>) => Promise<unknown>,
  second: () => Promise<unknown>,
): Promise<readonly string[]> {
  let other: string | undefined
  const one = await codeOf(
    first(async (name) => {
      if (name === at) other = await codeOf(second())
    }),
  )
  return [one, other ?? 'never asked']
}

for (const major of availableMajors().filter((each) => each === 11 || each === 18)) {
  describe(`PostgreSQL ${major}: two operators`, () => {
    for (const at of ['switchover.prove', 'switchover.promote', 'failover.promote']) {
      test(`one that the servers took for gone at "${at}", and that wakes after another failover, promotes nobody`, async () => {
        await using house = await makeHouse({ major, backup: false, standbys: 2 })
        await bringUp(house.context())
        await makeTable(house)
        const second = await secondOperator(house)
        const begin = async (crashPoint: (name: string) => Promise<void>): Promise<unknown> =>
          at.startsWith('switchover')
            ? switchOver(house.context({ crashPoint }), { to: 'db2' })
            : failOver(house.context({ crashPoint }), { ...ALL, to: 'db2' })
        if (at.startsWith('failover')) await crash(house, 'db1')
        const codes = await meanwhile(at, begin, async () => {
          await loseLocks(house)
          await failOver(second.context(), { ...ALL, to: 'db3' })
        })
        assert.equal(codes[1], 'done')
        assert.notEqual(codes[0], 'done')
        assert.deepEqual(await primariesOf(house), ['db3'])
        // Typed again it finds that somebody else was faster, and changes nothing either.
        assert.notEqual(await codeOf(begin(async () => undefined)), 'done')
        assert.deepEqual(await primariesOf(house), ['db3'])
      })
    }

    for (const at of ['switchover.prepare', 'switchover.prove', 'switchover.promote']) {
      test(`a failover or a second switchover during "${at}" is refused`, async () => {
        await using house = await makeHouse({ major, backup: false, standbys: 2 })
        await bringUp(house.context())
        await makeTable(house)
        const second = await secondOperator(house)
        await using writer = new Writer(house, 1)
        await until('rows', () => writer.acknowledged.length > 20)
        const codes: string[] = []
        const first = await meanwhile(
          at,
          async (crashPoint) => switchOver(house.context({ crashPoint }), { to: 'db2' }),
          async () => {
            codes.push(await codeOf(failOver(second.context(), { ...ALL, to: 'db3' })))
            codes.push(await codeOf(switchOver(second.context(), { to: 'db3' })))
          },
        )
        assert.deepEqual(first, ['done', 'done'])
        await writer.stop()
        assert.deepEqual(await primariesOf(house), ['db2'])
        assert.ok(!codes.includes('done'), codes.join())
        assert.ok(codes.includes('REPOSITORY_LOCKED'), codes.join())
        assert.deepEqual(await lostRows(house, 'db2', [writer]), [])
        await isInOrder(house, 'db2')
      })
    }

    test('two failovers at once make one primary', async () => {
      await using house = await makeHouse({ major, backup: false, standbys: 2 })
      await bringUp(house.context())
      await makeTable(house)
      await using writer = new Writer(house, 1)
      await until('rows', () => writer.acknowledged.length > 20)
      const second = await secondOperator(house)
      await crash(house, 'db1')
      const codes = await meanwhile(
        'failover.promote',
        async (crashPoint) => failOver(house.context({ crashPoint }), { ...ALL, to: 'db2' }),
        async () => failOver(second.context(), { ...ALL, to: 'db3' }),
      )
      assert.deepEqual(codes, ['done', 'REPOSITORY_LOCKED'])
      await writer.stop()
      assert.deepEqual(await primariesOf(house), ['db2'])
      assert.deepEqual(await lostRows(house, 'db2', [writer]), [])
    })
  })
}
