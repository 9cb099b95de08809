/**
 * Switchover on real servers: there and back under load, refused when it would hurt, taken back when the proof fails.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { switchOver } from '../../../src/failover/switchover.ts'
import type { StepTold } from '../../../src/build/apply.ts'
import { bringUp } from '../../../src/build/up.ts'
import type { ClusterEvent } from '../../../src/cluster/context.ts'
import { BackstayError } from '../../../src/errors/backstay-error.ts'
import { findGaps } from '../../../src/wal/continuity.ts'
import { loadContinuity } from '../../../src/wal/load-continuity.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { type House, makeHouse } from '../cluster/house.ts'
import { isInOrder, primariesOf, synchronous, Vault, withCode } from './support.ts'
import { lostRows, makeTable, Writer } from './writer.ts'

const majors = availableMajors().filter((major) => [11, 18].includes(major))

async function currentOf(house: House, server: string): Promise<bigint> {
  const [row] = await house.query(server, 'SELECT pg_current_wal_flush_lsn() AS lsn')
  return row?.['lsn'] as bigint
}

/** Everything that was planned was done; what has to come before something else came before it. */
function assertTaken(planned: readonly StepTold[], events: readonly ClusterEvent[]): void {
  const taken = events.filter((event) => event.kind === 'step-started').map(({ id }) => id)
  assert.deepEqual(
    planned.map(({ id }) => id).filter((id) => !taken.includes(id)),
    [],
  )
  const isOrdered = (id: string): boolean => /\.(catch-up|stop|prove|promote|verify)$/.test(id)
  assert.deepEqual(planned.map(({ id }) => id).filter(isOrdered), taken.filter(isOrdered))
}

for (const major of majors) {
  describe(`PostgreSQL ${major}: switchover`, () => {
    test('there and back under load loses no row, and the backup server follows without a gap', async (t) => {
      await using house = await makeHouse({ major, standbys: 2 })
      await bringUp(house.context())
      await makeTable(house)
      await using vault = await Vault.open(house)
      const writers = [1, 2, 3].map((number) => new Writer(house, number))
      const timelines: number[] = []
      for (const to of ['db2', 'db1']) {
        const planned = await switchOver(house.context(), { to, planOnly: true })
        assert.equal(planned.outcome, 'planned')
        const before = house.events.length
        const result = await switchOver(house.context(), { to })
        assertTaken(planned.steps ?? [], house.events.slice(before))
        assert.equal(result.outcome, 'done')
        assert.deepEqual(result.problems, [])
        assert.ok(result.proof?.isProved, JSON.stringify(result.proof))
        assert.deepEqual(await primariesOf(house), [to])
        timelines.push(result.timeline ?? 0)
        t.diagnostic(`to ${to}: writes refused for ${Math.round(result.refusedMs ?? 0)} ms`)
      }
      await Promise.all(writers.map(async (writer) => writer.stop()))
      const silence = Math.max(...writers.map(({ longestSilenceMs }) => longestSilenceMs))
      const count = writers.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0)
      t.diagnostic(`${count} rows acknowledged, longest silence ${Math.round(silence)} ms`)
      assert.deepEqual(timelines, [2, 3])
      assert.deepEqual(await lostRows(house, 'db1', writers), [])
      await isInOrder(house, 'db1')
      await vault.has(3, await currentOf(house, 'db1'))
      assert.deepEqual(findGaps(await loadContinuity(vault.repository)), [])
    })
  })
}

describe('PostgreSQL 18: switchover', { skip: !majors.includes(18) && 'not installed' }, () => {
  test('that cannot be proved is taken back: the old primary serves again', async () => {
    await using house = await makeHouse({ major: 18, backup: false })
    await bringUp(house.context())
    await makeTable(house)
    await using writer = new Writer(house, 1)
    const cutOff = async (name: string): Promise<void> => {
      if (name !== 'before db1.stop') return
      // The standby is thrown out and cannot come back: it misses the last record. In one query it could, before the first half counts.
      await house.query('db1', 'ALTER ROLE backstay_replication NOLOGIN')
      await house.query('db1', 'SELECT pg_terminate_backend(pid) FROM pg_stat_replication')
    }
    await assert.rejects(
      switchOver(house.context({ crashPoint: cutOff })),
      withCode('TIMEOUT', /was taken back, "db1" is primary again/),
    )
    assert.deepEqual(await primariesOf(house), ['db1'])
    await writer.stop()
    assert.deepEqual(await lostRows(house, 'db1', [writer]), [])
    const { problems } = await bringUp(house.context())
    assert.deepEqual(problems, [])
    await isInOrder(house, 'db1')
    const again = await switchOver(house.context())
    assert.equal(again.primary, 'db2')
  })

  test('with synchronous commit keeps on waiting for confirmations on the new primary', async () => {
    await using base = await makeHouse({ major: 18 })
    const house = synchronous(base)
    await bringUp(house.context())
    await using vault = await Vault.open(house)
    await vault.has(1, 1n)
    await bringUp(house.context())
    await isInOrder(house, 'db1')
    await makeTable(house)
    await using writer = new Writer(house, 1)
    await switchOver(house.context(), { to: 'db2' })
    await writer.stop()
    assert.deepEqual(await lostRows(house, 'db2', [writer]), [])
    const [row] = await house.query('db2', 'SHOW synchronous_standby_names')
    assert.equal(row?.['synchronous_standby_names'], 'ANY 1 ("db1", "vault")')
    await isInOrder(house, 'db2')
  })

  test('is refused with its reason, and nothing is changed', async (t) => {
    await using house = await makeHouse({ major: 18, backup: false })
    await bringUp(house.context())

    await t.test('to a standby whose replay is paused', async () => {
      await house.query('db2', 'SELECT pg_wal_replay_pause()')
      await assert.rejects(
        switchOver(house.context(), { to: 'db2' }),
        withCode('NOT_READY', /WAL replay is paused/),
      )
      await house.query('db2', 'SELECT pg_wal_replay_resume()')
    })

    await t.test('to a server that is not there', async () => {
      await assert.rejects(
        switchOver(house.context(), { to: 'db9' }),
        withCode('USAGE', /There is no server "db9" in the cluster file/),
      )
    })

    await t.test('while a setting waits for up', async () => {
      const parameters = { ...house.wanted.postgres.parameters, work_mem: '5MB' }
      const wanted = { ...house.wanted, postgres: { ...house.wanted.postgres, parameters } }
      await assert.rejects(
        switchOver(house.context({ wanted })),
        withCode('NOT_READY', /not as the cluster file says/),
      )
    })

    await t.test('to the server that is primary already, there is nothing to do', async () => {
      const { outcome } = await switchOver(house.context(), { to: 'db1' })
      assert.equal(outcome, 'already')
    })

    await t.test('beside another one', async () => {
      const held = Promise.withResolvers<void>()
      const reached = Promise.withResolvers<void>()
      const crashPoint = async (name: string): Promise<void> => {
        if (name !== 'switchover.prepare') return
        reached.resolve()
        await held.promise
      }
      const first = switchOver(house.context({ crashPoint }))
      await reached.promise
      await assert.rejects(switchOver(house.context()), withCode('REPOSITORY_LOCKED'))
      held.resolve()
      assert.equal((await first).primary, 'db2')
    })

    await t.test(
      'but once begun, Ctrl-C does not leave the cluster without a primary',
      async () => {
        const interrupt = new AbortController()
        const crashPoint = async (name: string): Promise<void> => {
          if (name === 'after db2.stop') interrupt.abort(new BackstayError('INTERRUPTED', 'Ctrl-C'))
        }
        const { signal } = interrupt
        await assert.rejects(
          switchOver(house.context({ crashPoint, signal })),
          withCode('INTERRUPTED'),
        )
        assert.deepEqual(await primariesOf(house), ['db1'])
        const { outcome, primary } = await switchOver(house.context())
        assert.deepEqual([outcome, primary], ['done', 'db1'])
      },
    )

    await isInOrder(house, 'db1')
  })
})
