/**
 * A change of roles that died, is typed again after somebody else changed roles, and does not reach the primary of that one: what it had
 * begun does not make the older primary the lost one.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { failOver, type FailoverOptions } from '../../../src/failover/failover.ts'
import { readJournal, type RoleJournal, writeJournal } from '../../../src/cluster/journal.ts'
import { switchOver } from '../../../src/failover/switchover.ts'
import { bringUp } from '../../../src/build/up.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { until } from '../../harness/until.ts'
import { type House, makeHouse } from '../cluster/house.ts'
import { secondOperator } from './second-operator.ts'
import { crash, primariesOf, withCode, without } from './support.ts'
import { makeTable } from './writer.ts'

const GIVEN_UP: FailoverOptions = { allowDataLoss: true, primaryIsDead: false, planOnly: false }

class Killed extends Error {}

/** Dies before it promotes db2; a process that is killed takes nothing back. */
async function die(house: House, kind: 'failover' | 'switchover'): Promise<void> {
  let written: RoleJournal | undefined
  const crashPoint = async (name: string): Promise<void> => {
    if (name !== `${kind}.promote`) return
    written = await readJournal(house.context())
    throw new Killed()
  }
  const context = house.context({ crashPoint })
  const isKilled = (error: unknown): boolean => error instanceof Killed
  if (kind === 'switchover') {
    await assert.rejects(switchOver(context, { to: 'db2' }), isKilled)
    assert.ok(written)
    await writeJournal(house.context(), written)
  }
  await crash(house, 'db1')
  if (kind === 'failover') {
    const options = { ...GIVEN_UP, allowDataLoss: false, to: 'db2' }
    await assert.rejects(failOver(context, options), isKilled)
  }
}

for (const major of availableMajors().filter((each) => each === 11 || each === 18)) {
  describe(`PostgreSQL ${major}: a change of roles that died, and another since whose primary is out of reach`, () => {
    for (const kind of ['failover', 'switchover'] as const) {
      test(`a ${kind} is not gone on with by a failover beside that primary`, async () => {
        await using house = await makeHouse({ major, backup: false, standbys: 2 })
        await bringUp(house.context())
        await makeTable(house)
        const second = await secondOperator(house)
        await die(house, kind)
        await failOver(without(second, 'db1'), { ...GIVEN_UP, primaryIsDead: true, to: 'db3' })
        await until('db2 to follow db3', async () => {
          const rows = await house.query('db2', 'SELECT received_tli FROM pg_stat_wal_receiver')
          return rows[0]?.['received_tli'] === 2
        })
        const again = failOver(without(house, 'db3'), GIVEN_UP)
        await assert.rejects(again, withCode('SPLIT_BRAIN', /"db2" still receives from it/))
        assert.deepEqual(await primariesOf(house), ['db3'])
      })
    }
  })
}
