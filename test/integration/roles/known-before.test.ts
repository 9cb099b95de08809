/**
 * What a change of roles would cost is said before it is begun, and what would make it fail is found while the primary serves.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { checkCluster } from '../../../src/report/check.ts'
import { failOver } from '../../../src/failover/failover.ts'
import { switchOver } from '../../../src/failover/switchover.ts'
import { clusterStatus } from '../../../src/report/status.ts'
import { bringUp } from '../../../src/build/up.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { until } from '../../harness/until.ts'
import { type House, makeHouse } from '../cluster/house.ts'
import { postmasterOf, stopStandby, withCode } from './support.ts'

async function withLogicalSlot(): Promise<House> {
  const house = await makeHouse({
    major: 18,
    backup: false,
    parameters: { wal_level: 'logical' },
  })
  await bringUp(house.context())
  await house.query('db1', "SELECT pg_create_logical_replication_slot('cdc', 'test_decoding')")
  return house
}

async function settingOn(house: House, name: string): Promise<void> {
  await until(`recovery_min_apply_delay ${name}`, async () => {
    const [row] = await house.query('db2', 'SHOW recovery_min_apply_delay')
    return row?.['recovery_min_apply_delay'] === name
  })
}

describe(
  'PostgreSQL 18: before a change of roles',
  { skip: !availableMajors().includes(18) && 'not installed' },
  () => {
    test('a logical slot that would be lost is named by status, check and the switchover itself', async () => {
      await using house = await withLogicalSlot()
      const status = await clusterStatus(house.context())
      assert.match(status.slotsAtRisk.join(), /Logical slot "cdc" is not on "db2"/)
      const findings = await checkCluster(house.context())
      const risk = findings.filter(({ check }) => check === 'slots.logical')
      assert.equal(risk[0]?.status, 'warn')
      const remedies = findings.map(({ remedy }) => remedy ?? '').join('\n')
      assert.doesNotMatch(remedies, /pg_drop_replication_slot|drop the slot/)
      house.events.length = 0
      const result = await switchOver(house.context(), { to: 'db2' })
      assert.equal(result.outcome, 'done')
      const note = house.events.findIndex(
        (event) => event.kind === 'note' && event.text.includes('"cdc"'),
      )
      const first = house.events.findIndex(({ kind }) => kind === 'step-started')
      assert.ok(note >= 0 && note < first, `note ${note}, first step ${first}`)
      assert.match(result.problems.map(({ message }) => message).join(), /"cdc"/)
    })

    test('also by one that goes on after it died', async () => {
      await using house = await withLogicalSlot()
      await stopStandby(house, 'db1')
      // What a switchover that was killed behind the stop of the primary leaves.
      await house.context().state.writeJournal({
        operation: 'switchover',
        from: 'db1',
        to: 'db2',
        timeline: 1,
        phase: 'stop',
        carriedSlots: [],
        lostSlots: ['cdc'],
        startedAt: '2026-11-29T00:00:00.000Z',
      })
      house.events.length = 0
      const result = await switchOver(house.context(), { to: 'db2' })
      assert.equal(result.outcome, 'done')
      const notes = house.events.filter(({ kind }) => kind === 'note')
      assert.match(JSON.stringify(notes), /cdc/)
      assert.match(result.problems.map(({ message }) => message).join(), /"cdc"/)
    })

    test('a standby that is paused or kept behind is refused, and the primary is not touched', async () => {
      await using house = await makeHouse({ major: 18, backup: false })
      await bringUp(house.context())
      const pid = await postmasterOf(house, 'db1')
      await house.query('db2', 'SELECT pg_wal_replay_pause()')
      await assert.rejects(
        switchOver(house.context(), { to: 'db2' }),
        withCode('NOT_READY', /WAL replay is paused/),
      )
      await house.query('db2', 'SELECT pg_wal_replay_resume()')
      await house.query('db2', "ALTER SYSTEM SET recovery_min_apply_delay = '1min'")
      await house.query('db2', 'SELECT pg_reload_conf()')
      await settingOn(house, '1min')
      await assert.rejects(
        switchOver(house.context(), { to: 'db2' }),
        withCode('NOT_READY', /it is kept behind on purpose \(recovery_min_apply_delay/),
      )
      assert.equal(await postmasterOf(house, 'db1'), pid)
    })

    test('a server that is not in the cluster file is a slip of the pen', async () => {
      await using house = await makeHouse({ major: 18, backup: false })
      await bringUp(house.context())
      const unknown = withCode('USAGE', /There is no server "db9" in the cluster file/)
      await assert.rejects(switchOver(house.context(), { to: 'db9' }), unknown)
      const consent = { allowDataLoss: true, primaryIsDead: true, planOnly: false }
      await assert.rejects(failOver(house.context(), { ...consent, to: 'db9' }), unknown)
    })
  },
)
