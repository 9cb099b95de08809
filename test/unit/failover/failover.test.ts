/**
 * What a failover would lose, who may be promoted, and which line a server is on.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ClusterFound } from '../../../src/cluster/found.ts'
import { type FailoverPlan, planFailover } from '../../../src/failover/failover-plan.ts'
import { forbids, judgeLoss } from '../../../src/failover/loss.ts'
import { type Line, type Lines, relationOf } from '../../../src/failover/line.ts'
import { judgeLineage } from '../../../src/failover/lineage.ts'
import { isCovered, parseQuorum } from '../../../src/failover/quorum.ts'
import { senderBeside } from '../../../src/failover/silence.ts'
import { type Lsn, toLsn } from '../../../src/postgres/lsn.ts'
import type { TimelineHistory } from '../../../src/postgres/timeline.ts'
import { bend, healthy, server, stopped, wish } from '../cluster/builders.ts'

const trio = wish({ servers: [server('db1', { role: 'primary' }), server('db2'), server('db3')] })
const at = (value: bigint): Lsn => toLsn(value)

/** On timeline `timeline`, which began where timeline 1 was left at `leftLsn`. */
function line(timeline: number, leftLsn = 10n, hasLsn?: bigint): Line {
  const switches = timeline === 1 ? [] : [{ timeline: 1, switchLsn: at(leftLsn), reason: '' }]
  const has = hasLsn === undefined ? undefined : at(hasLsn)
  return { timeline, history: { timeline, switches }, hasLsn: has }
}

const alike: Lines = new Map(['db1', 'db2', 'db3'].map((name) => [name, line(1)]))
const nobody = { to: undefined, note: undefined, lines: alike, remembered: undefined }

function planOf(found: ClusterFound, to?: string, lines = alike): FailoverPlan {
  const decision = planFailover(trio, found, { ...nobody, to, lines })
  assert.equal(decision.kind, 'failover')
  return decision.plan
}

function dead(found: ClusterFound = healthy(trio)): ClusterFound {
  return stopped(found, 'db1')
}

function unreachable(found: ClusterFound, name = 'db1'): ClusterFound {
  return bend(found, name, () => ({
    running: undefined,
    sql: undefined,
    directory: { state: 'unknown' },
    hostError: { code: 'HOST_UNREACHABLE', message: 'no route', hint: '' },
  }))
}

describe('a failover that died', () => {
  const lines: Lines = new Map([
    ['db1', line(1)],
    ['db2', line(2)],
  ])
  const marked = bend(dead(), 'db1', ({ directory }) => ({
    directory: { ...directory, isStandby: true },
  }))
  const fromOf = (found: ClusterFound, known: Lines): string | undefined => {
    const wish = { ...nobody, to: 'db2', lines: known, resumed: 'db1' }
    const decision = planFailover(trio, found, wish)
    return decision.kind === 'failover' ? decision.plan.from.name : undefined
  }

  test('goes on from the primary that it went from, whoever else is away', () => {
    assert.equal(fromOf(unreachable(marked, 'db3'), alike), 'db1')
  })

  test('goes from the one that is away when the candidate is on a timeline that came from its own', () => {
    assert.equal(fromOf(unreachable(marked, 'db3'), lines), 'db3')
  })
})

describe('a candidate whose lost primary is stopped', () => {
  const receiving = (port: number): FailoverPlan =>
    planOf(
      bend(unreachable(dead(), 'db3'), 'db2', ({ sql }) => ({
        sql: { ...sql, receiver: sql.receiver && { ...sql.receiver, senderPort: port } },
      })),
    )

  test('receives from nobody but one who lives', () => {
    const plan = { ...receiving(20_003), fencing: 'stopped' as const }
    assert.equal(senderBeside(trio, plan), 'db3')
    assert.equal(senderBeside(trio, { ...receiving(29_999), fencing: 'gone' }), '127.0.0.1:29999')
    assert.equal(senderBeside(trio, { ...plan, fencing: 'hung' }), undefined)
    assert.equal(senderBeside(trio, { ...plan, others: planOf(dead()).others }), undefined)
  })
})

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
    const decision = planFailover(trio, away, { ...nobody, note })
    assert.equal(decision.kind === 'failover' && decision.plan.from.name, 'db3')
  })

  test('goes from the server that cannot be looked at, never from a standby that answers', () => {
    const note = { server: 'db1', timeline: 1, synchronousNames: '' }
    const away = unreachable(healthy(trio, 'db2'), 'db2')
    for (const known of [note, undefined]) {
      for (const to of ['db1', 'db3']) {
        const decision = planFailover(trio, away, { ...nobody, to, note: known })
        assert.equal(decision.kind, 'failover')
        const { from, fencing } = decision.plan
        assert.deepEqual([from.name, fencing], ['db2', 'unreachable'])
      }
    }
  })

  test('goes from the crashed primary on the line of the candidate while a standby cannot be looked at', () => {
    const decision = planFailover(trio, unreachable(dead(), 'db2'), nobody)
    assert.equal(decision.kind === 'failover' && decision.plan.from.name, 'db1')
    const later = { server: 'db2', timeline: 1, synchronousNames: '' }
    const noted = planFailover(trio, unreachable(dead(), 'db2'), { ...nobody, note: later })
    assert.equal(noted.kind === 'failover' && noted.plan.from.name, 'db2')
  })

  test('names all that cannot be looked at, and is refused when nothing tells which of them was the primary', () => {
    const away = unreachable(unreachable(healthy(trio)), 'db2')
    const refused = planFailover(trio, away, nobody)
    assert.match(
      refused.kind === 'refused' ? (refused.problems[0]?.message ?? '') : '',
      /the hosts of "db1", "db2" do not answer, and any of them may be the primary/,
    )
    const note = { server: 'db1', timeline: 1, synchronousNames: '' }
    const decision = planFailover(trio, away, { ...nobody, note })
    assert.equal(decision.kind, 'failover')
    assert.deepEqual([decision.plan.from.name, decision.plan.away], ['db1', ['db2']])
    const none = { kind: 'none', bytes: 0, text: 'x' } as const
    const problem = forbids(decision.plan, none, { allowDataLoss: false, primaryIsDead: false })
    assert.match(problem?.message ?? '', /the hosts of "db1", "db2" do not answer/)
    assert.match(problem?.hint ?? '', /all of them are off/)
    const lines = new Map([...alike, ['db3', line(2)] as const])
    assert.equal(planFailover(trio, away, { ...nobody, note, lines }).kind, 'refused')
  })

  test('ends nothing where all run as standbys, and is refused beside a second primary that hangs', () => {
    const demoted = bend(healthy(trio), 'db1', ({ directory, sql }) => ({
      sql: { ...sql, inRecovery: true },
      directory: {
        ...directory,
        isStandby: true,
        control: { ...directory.control, state: 'in archive recovery' },
      },
    }))
    const note = { server: 'db1', timeline: 1, synchronousNames: '' }
    const decision = planFailover(trio, demoted, { ...nobody, note, to: 'db2' })
    assert.equal(decision.kind === 'failover' && decision.plan.fencing, 'standby')
    const hang = bend(healthy(trio), 'db1', () => ({ sql: undefined }))
    const two = bend(hang, 'db2', ({ directory }) => ({
      sql: undefined,
      directory: { ...directory, isStandby: false },
    }))
    const rival = planFailover(trio, two, nobody)
    assert.equal(rival.kind === 'refused' && rival.problems[0]?.code, 'SPLIT_BRAIN')
  })

  test('goes from the one that wrote the line of the candidate, whatever the note says', () => {
    const both = bend(dead(), 'db2', ({ directory }) => ({
      running: undefined,
      sql: undefined,
      directory: {
        ...directory,
        timeline: 2,
        isStandby: false,
        control: { ...directory.control, state: 'in production' },
      },
    }))
    const lines = new Map([...alike, ['db2', line(2)], ['db3', line(2)]] as const)
    const note = { server: 'db1', timeline: 1, synchronousNames: '' }
    const decision = planFailover(trio, both, { ...nobody, note, lines })
    assert.equal(decision.kind, 'failover')
    assert.deepEqual([decision.plan.from.name, decision.plan.relation], ['db2', 'same'])
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
    candidateNames: 'ANY 1 ("db1", "db3")',
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

  test('is unknown when another operator changed since who confirms', () => {
    const seen = { ...facts, synchronousNames: 'ANY 2 ("db2", "db3")', reporters: ['db2'] }
    assert.equal(judgeLoss({ ...seen, candidateNames: 'ANY 2 ("db1", "db3")' }).kind, 'none')
    const off = judgeLoss({ ...seen, candidateNames: '' })
    assert.equal(off.kind, 'unknown')
    assert.match(
      off.text,
      /waited when it was last seen, but by the settings of "db2" that was changed/,
    )
    assert.equal(judgeLoss({ ...seen, candidateNames: 'ANY 1 ("db1", "db3")' }).kind, 'unknown')
    const more = 'ANY 2 ("db1", "db3", "vault")'
    assert.equal(judgeLoss({ ...seen, candidateNames: more }).kind, 'unknown')
    assert.equal(
      judgeLoss({ ...seen, candidateNames: more, reporters: ['db2', 'vault'] }).kind,
      'none',
    )
  })

  test('is none only for commits that waited: those that did not are named', () => {
    const covered = { ...facts, synchronousNames: 'ANY 1 ("db2", "db3")' }
    const some = judgeLoss({ ...covered, asynchronous: ['role "batch"'] })
    assert.match(
      some.text,
      /each commit that waited was confirmed .* for role "batch" did not wait/,
    )
    const all = judgeLoss({ ...covered, asynchronous: [''] })
    assert.deepEqual(all.kind, 'unknown')
    assert.match(all.text, /its commits did not wait until a standby had them on disk/)
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

describe('the line of the old primary', () => {
  const lines = (db1: Line, db2: Line, db3: Line): Lines =>
    new Map([
      ['db1', db1],
      ['db2', db2],
      ['db3', db3],
    ])
  const facts = {
    primaryEndLsn: at(100n),
    reachableEndLsn: at(100n),
    reporters: ['db2', 'db3'],
    synchronousNames: 'ANY 1 ("db2", "db3")',
    candidateNames: 'ANY 1 ("db1", "db3")',
  }

  test('is told by where timelines were left, not by their numbers', () => {
    assert.equal(relationOf(line(2), line(2)), 'same')
    assert.equal(relationOf(line(2, 10n), line(2, 11n)), 'apart')
    assert.equal(relationOf(line(1, 0n, 10n), line(2, 10n)), 'behind')
    assert.equal(relationOf(line(1, 0n, 11n), line(2, 10n)), 'apart')
    assert.equal(relationOf(line(2), line(1)), 'ahead')
    assert.equal(relationOf(line(2), undefined), 'unknown')
    assert.equal(relationOf({ ...line(2), history: undefined }, line(2)), 'unknown')
  })

  test('decides who takes over before the amount of WAL does', () => {
    const there = lines(line(2), line(1, 0n, 5n), line(2))
    const plan = planOf(dead(), undefined, there)
    assert.deepEqual([plan.to.name, plan.relation, plan.onLine], ['db3', 'same', ['db3']])
  })

  test('a timeline that came from it was written by somebody else: what he committed is unknown', () => {
    const plan = planOf(dead(), 'db2', lines(line(1), line(2), line(2)))
    assert.equal(plan.relation, 'ahead')
    const loss = judgeLoss({ ...facts, plan })
    assert.equal(loss.kind, 'unknown')
    assert.match(loss.text, /timeline 2 .*, which somebody wrote who was primary after it/)
  })

  test('is needed for a loss of none, whoever confirmed what; the standby that is right is named', () => {
    for (const db2 of [line(1, 0n, 5n), line(2, 11n), { ...line(2), history: undefined }]) {
      const plan = planOf(dead(), 'db2', lines(line(2), db2, line(2)))
      const loss = judgeLoss({ ...facts, plan })
      assert.equal(loss.kind, 'unknown')
      assert.match(loss.text, /"db2" may lack what "db1" committed: .*on the line of "db1": db3/)
      const problem = forbids(plan, loss, { allowDataLoss: false, primaryIsDead: true })
      assert.match(problem?.hint ?? '', /backstay failover --to db3;/)
    }
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
  const own = (timeline: number): TimelineHistory => ({
    timeline,
    switches: history.switches.filter((each) => each.timeline < timeline),
  })
  const kind = (timeline: number, lsn: bigint): string =>
    judgeLineage({ timeline, lsn: at(lsn) }, own(timeline), primary).kind

  test('is the same up to the point where the primary left it', () => {
    assert.equal(kind(1, 100n), 'same')
    assert.equal(kind(2, 150n), 'same')
    assert.equal(kind(3, 300n), 'same')
  })

  test('has parted beyond that point, and on a timeline the primary never was on', () => {
    assert.equal(kind(1, 101n), 'diverged')
    assert.equal(kind(4, 50n), 'diverged')
    assert.equal(kind(3, 301n), 'diverged')
    const namesake = { timeline: 2, switches: [{ timeline: 1, switchLsn: at(90n), reason: '' }] }
    const judged = judgeLineage({ timeline: 2, lsn: at(120n) }, namesake, primary)
    assert.deepEqual([judged.kind, judged.forkLsn], ['diverged', at(90n)])
    assert.equal(judgeLineage(undefined, own(1), primary).kind, 'diverged')
  })
})
