/**
 * What a failover would lose, who may be promoted, and which line a server is on.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ClusterFound } from '../../../../src/cluster/found.ts'
import {
  type FailoverPlan,
  forbids,
  judgeLoss,
  planFailover,
} from '../../../../src/cluster/roles/failover-plan.ts'
import { judgeLineage } from '../../../../src/cluster/roles/lineage.ts'
import { isCovered, parseQuorum } from '../../../../src/cluster/roles/quorum.ts'
import { type Lsn, toLsn } from '../../../../src/postgres/lsn.ts'
import { bend, healthy, server, stopped, wish } from '../builders.ts'

const trio = wish({ servers: [server('db1', { role: 'primary' }), server('db2'), server('db3')] })
const at = (value: bigint): Lsn => toLsn(value)
const nobody = { to: undefined, note: undefined }

function planOf(found: ClusterFound, to?: string): FailoverPlan {
  const decision = planFailover(trio, found, { to, note: undefined })
  assert.equal(decision.kind, 'failover')
  return decision.plan
}

function dead(found: ClusterFound = healthy(trio)): ClusterFound {
  return stopped(found, 'db1')
}

function unreachable(found: ClusterFound): ClusterFound {
  return bend(found, 'db1', () => ({
    running: undefined,
    sql: undefined,
    directory: { state: 'unknown' },
    hostError: { code: 'HOST_UNREACHABLE', message: 'no route', hint: '' },
  }))
}

describe('a failover', () => {
  test('goes to the standby with most WAL, whatever the order of the file', () => {
    const behind = bend(dead(), 'db2', ({ sql }) => ({
      sql: { ...sql, position: { ...sql.position, received: at(5n), replayed: at(5n) } },
    }))
    assert.equal(planOf(behind).to.name, 'db3')
    assert.equal(planOf(behind, 'db2').to.name, 'db2')
  })

  test('knows how the old primary can be kept from serving', () => {
    assert.equal(planOf(dead()).fencing, 'stopped')
    assert.equal(planOf(unreachable(healthy(trio))).fencing, 'unreachable')
    const hung = bend(healthy(trio), 'db1', () => ({ sql: undefined }))
    assert.equal(planOf(hung).fencing, 'hung')
    const lost = bend(dead(), 'db1', () => ({ directory: { state: 'missing' } }))
    assert.equal(planOf(lost).fencing, 'gone')
  })

  test('takes the remembered primary for the lost one, not the one of the file', () => {
    const found = unreachable(healthy(trio, 'db3'))
    const away = bend(found, 'db3', () => ({
      running: undefined,
      sql: undefined,
      directory: { state: 'unknown' },
      hostError: { code: 'HOST_UNREACHABLE', message: 'no route', hint: '' },
    }))
    const note = { server: 'db3', timeline: 2, synchronousNames: '' }
    const decision = planFailover(trio, away, { to: undefined, note })
    assert.equal(decision.kind === 'failover' && decision.plan.from.name, 'db3')
  })

  test('is refused while the primary answers, and when nobody could take over', () => {
    const alive = planFailover(trio, healthy(trio), nobody)
    assert.equal(alive.kind === 'refused' && alive.problems[0]?.code, 'NOT_READY')
    const none = planFailover(trio, stopped(stopped(dead(), 'db2'), 'db3'), nobody)
    assert.equal(none.kind === 'refused' && none.problems[0]?.code, 'PRIMARY_MISSING')
  })
})

test('a primary that only refuses our login is alive', () => {
  const sqlError = { code: 'POSTGRES_LIMIT', message: 'too many clients', hint: '' } as const
  const full = bend(healthy(trio), 'db1', () => ({ sql: undefined, sqlError }))
  const decision = planFailover(trio, full, nobody)
  assert.match(
    decision.kind === 'refused' ? (decision.problems[0]?.message ?? '') : '',
    /refuses only us: too many clients/,
  )
})

describe('the loss', () => {
  const facts = {
    plan: planOf(dead()),
    primaryEndLsn: undefined,
    reachableEndLsn: at(100n),
    reporters: ['db2', 'db3'],
    synchronousNames: '',
  }

  test('is none when all of the old WAL can be had, and its size otherwise', () => {
    assert.equal(judgeLoss({ ...facts, primaryEndLsn: at(100n) }).kind, 'none')
    const some = judgeLoss({ ...facts, primaryEndLsn: at(1124n) })
    assert.deepEqual([some.kind, some.bytes], ['some', 1024])
  })

  test('is unknown when the primary cannot be read and nobody had to confirm', () => {
    assert.equal(judgeLoss(facts).kind, 'unknown')
  })

  test('is none when R + W > N', () => {
    const names = 'ANY 1 ("db2", "db3")'
    assert.equal(judgeLoss({ ...facts, synchronousNames: names }).kind, 'none')
    assert.equal(
      judgeLoss({ ...facts, synchronousNames: names, reporters: ['db2'] }).kind,
      'unknown',
    )
  })

  test('has to be accepted; a primary that cannot be stopped has to be declared dead', () => {
    const none = { kind: 'none', bytes: 0, text: 'x' } as const
    const unknown = { kind: 'unknown', bytes: undefined, text: 'x' } as const
    const plan = planOf(unreachable(healthy(trio)))
    const nothing = { allowDataLoss: false, primaryIsDead: false }
    assert.equal(forbids(facts.plan, none, nothing), undefined)
    assert.equal(forbids(plan, none, nothing)?.code, 'DATA_LOSS')
    assert.equal(forbids(plan, none, { ...nothing, primaryIsDead: true }), undefined)
    assert.equal(forbids(plan, unknown, { ...nothing, primaryIsDead: true })?.code, 'DATA_LOSS')
    assert.equal(forbids(plan, unknown, { ...nothing, allowDataLoss: true }), undefined)
  })
})

describe('synchronous_standby_names', () => {
  test('is read as PostgreSQL writes it', () => {
    assert.deepEqual(parseQuorum('ANY 1 ("db-2", vault)'), { count: 1, names: ['db-2', 'vault'] })
    assert.deepEqual(parseQuorum('2 (a, "b""c", d)'), { count: 2, names: ['a', 'b"c', 'd'] })
    assert.deepEqual(parseQuorum('first 1 (a)'), { count: 1, names: ['a'] })
  })

  test('that promises nothing about a known set is not counted on', () => {
    for (const text of ['', 'a, b', 'ANY 1 (*)']) assert.equal(parseQuorum(text), undefined, text)
  })

  test('covers commits when enough of them answer', () => {
    const quorum = { count: 2, names: ['a', 'b', 'c'] }
    assert.ok(isCovered(quorum, ['a', 'c']))
    assert.ok(!isCovered(quorum, ['a', 'x']))
  })
})

describe('a line', () => {
  const history = {
    timeline: 3,
    switches: [
      { timeline: 1, switchLsn: at(100n), reason: '' },
      { timeline: 2, switchLsn: at(200n), reason: '' },
    ],
  }
  const primary = { history, flushLsn: at(300n) }
  const kind = (timeline: number, lsn: bigint): string =>
    judgeLineage({ timeline, lsn: at(lsn) }, primary).kind

  test('is the same up to the point where the primary left it', () => {
    assert.equal(kind(1, 100n), 'same')
    assert.equal(kind(2, 150n), 'same')
    assert.equal(kind(3, 300n), 'same')
  })

  test('has parted beyond that point, and on a timeline the primary never was on', () => {
    assert.equal(kind(1, 101n), 'diverged')
    assert.equal(kind(4, 50n), 'diverged')
    assert.equal(kind(3, 301n), 'diverged')
    assert.equal(judgeLineage(undefined, primary).kind, 'diverged')
  })
})
