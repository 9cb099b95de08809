/**
 * A switchover whose target is lost for good while it is asked to become the primary: there is a way back to the old one, and
 * none when somebody knows that the target was promoted.
 */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { applySteps } from '../../../src/build/apply.ts'
import { lookCluster } from '../../../src/cluster/look/look.ts'
import type { MemberFound } from '../../../src/cluster/leader.ts'
import { followSteps } from '../../../src/failover/follow.ts'
import { switchOver } from '../../../src/failover/switchover.ts'
import { bringUp } from '../../../src/build/up.ts'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { until } from '../../harness/until.ts'
import { type House, makeHouse } from '../cluster/house.ts'
import { crash, isInOrder, primariesOf, stopStandby, without, withCode } from './support.ts'
import { lostRows, makeTable, Writer } from './writer.ts'

const DEAD = { givingUp: { targetIsDead: true, allowDataLoss: false } }

/** What a switchover leaves that was killed when it had asked db2: db1 stopped, marked, and all of its WAL on db2. */
async function askedAndKilled(house: House): Promise<void> {
  await stopStandby(house, 'db1')
  await writeFile(join(house.wanted.servers[0]?.directory ?? '', 'standby.signal'), '')
  await house.context().state.writeJournal({
    operation: 'switchover',
    from: 'db1',
    to: 'db2',
    timeline: 1,
    phase: 'promote',
    endLsn: '0/3000000',
    carriedSlots: [],
    startedAt: '2026-11-29T00:00:00.000Z',
  })
}

describe(
  'PostgreSQL 18: a switchover whose target is lost',
  { skip: !availableMajors().includes(18) && 'not installed' },
  () => {
    test('says what leads out, and the old primary serves again with all rows', async () => {
      await using house = await makeHouse({ major: 18, backup: false })
      await bringUp(house.context())
      await makeTable(house)
      await using writer = new Writer(house, 1)
      await until('rows', () => writer.acknowledged.length > 20)
      await askedAndKilled(house)
      await crash(house, 'db2')
      await assert.rejects(switchOver(without(house, 'db2')), (error) => {
        assert.ok(isBackstayError(error, 'UNFINISHED'))
        assert.match(error.hint ?? '', /backstay switchover --target-is-dead/)
        return true
      })
      const result = await switchOver(without(house, 'db2'), DEAD)
      assert.deepEqual([result.outcome, result.primary], ['undone', 'db1'])
      await writer.stop()
      assert.deepEqual(await primariesOf(house), ['db1'])
      assert.deepEqual(await lostRows(house, 'db1', [writer]), [])
      await bringUp(house.context())
      await isInOrder(house, 'db1')
    })

    test('that runs, or is known to have been promoted, is not given up', async () => {
      await using house = await makeHouse({ major: 18, backup: false, standbys: 2 })
      await bringUp(house.context())
      await askedAndKilled(house)
      await house.query('db2', 'SELECT pg_promote()')
      const found = await lookCluster(house.context(), { forPlan: false })
      const db3 = found.servers.find(({ name }) => name === 'db3') as MemberFound
      await applySteps(house.context(), followSteps(house.wanted, db3, 'db2'))
      await house.query('db2', "SELECT pg_create_physical_replication_slot('backstay_db3')")
      await until('db3 to follow', async () => {
        const rows = await house.query('db3', 'SELECT received_tli FROM pg_stat_wal_receiver')
        return rows[0]?.['received_tli'] === 2
      })
      await crash(house, 'db2')
      await assert.rejects(
        switchOver(without(house, 'db2'), DEAD),
        withCode('DATA_LOSS', /it became the primary before it was lost, as "db3" knows/),
      )
      assert.deepEqual(await primariesOf(house), [])
    })
  },
)
