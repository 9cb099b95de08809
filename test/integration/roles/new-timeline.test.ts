/**
 * The number of the timeline that a change of roles makes: one that nobody has given to another.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { failOver } from '../../../src/failover/failover.ts'
import { switchOver } from '../../../src/failover/switchover.ts'
import { bringUp } from '../../../src/build/up.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { type House, makeHouse } from '../cluster/house.ts'
import { crash, stopStandby } from './support.ts'
import { makeTable } from './writer.ts'

/** Somebody promotes db3 for a moment: timeline 2 is its. */
async function strayPromotion(house: House): Promise<void> {
  await makeTable(house)
  await house.query('db3', 'SELECT pg_promote()')
  await house.query('db3', 'INSERT INTO acknowledged VALUES (1, 1)')
  await house.query('db1', 'INSERT INTO acknowledged VALUES (2, 2)')
  await stopStandby(house, 'db3')
}

describe(
  'PostgreSQL 18: the number of a new timeline',
  { skip: !availableMajors().includes(18) && 'not installed' },
  () => {
    test('of a switchover is not that of a stray promotion', async () => {
      await using house = await makeHouse({ major: 18, backup: false, standbys: 2 })
      await bringUp(house.context())
      await strayPromotion(house)
      const { timeline } = await switchOver(house.context(), { to: 'db2' })
      assert.equal(timeline, 3)
      const rows = await house.query('db1', 'SELECT id::int FROM acknowledged')
      assert.deepEqual(
        rows.map(({ id }) => id),
        [2],
      )
    })

    test('of a failover is not, either', async () => {
      await using house = await makeHouse({ major: 18, backup: false, standbys: 2 })
      await bringUp(house.context())
      await strayPromotion(house)
      await crash(house, 'db1')
      const consent = { allowDataLoss: true, primaryIsDead: true, planOnly: false }
      const result = await failOver(house.context(), { ...consent, to: 'db2' })
      assert.equal(result.timeline, 3)
      assert.equal(result.primary, 'db2')
    })
  },
)
