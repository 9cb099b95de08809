/**
 * Who a switchover goes to, what stands against it, and which way an interrupted one goes on.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { ClusterFound } from '../../../src/cluster/found.ts'
import { changeSince } from '../../../src/failover/as-planned.ts'
import { slotSteps } from '../../../src/failover/follow.ts'
import type { SwitchoverJournal } from '../../../src/cluster/journal.ts'
import type { Line, Lines } from '../../../src/failover/line.ts'
import { mayBeOvertaken } from '../../../src/failover/overtaken.ts'
import { type WayOn, wayOf } from '../../../src/failover/resume-switchover.ts'
import { type AnsweringMember, planSwitchover } from '../../../src/failover/switch-plan.ts'
import { toLsn } from '../../../src/postgres/lsn.ts'
import { bend, healthy, server, stopped, wish } from '../cluster/builders.ts'

const trio = wish({ servers: [server('db1', { role: 'primary' }), server('db2'), server('db3')] })

function refusal(found: ClusterFound, to?: string): string {
  const decision = planSwitchover(trio, found, to)
  assert.equal(decision.kind, 'refused')
  return decision.problems.map(({ code, message }) => `${code}: ${message}`).join('\n')
}

describe('a switchover', () => {
  test('goes to the best standby, and the other one follows', () => {
    const decision = planSwitchover(trio, healthy(trio), undefined)
    assert.equal(decision.kind, 'switch')
    const { from, to, others } = decision.plan
    assert.deepEqual([from.name, to.name, others.map(({ name }) => name)], ['db1', 'db2', ['db3']])
  })

  test('goes to the standby asked for, and nowhere when that is the primary', () => {
    const decision = planSwitchover(trio, healthy(trio), 'db3')
    assert.equal(decision.kind === 'switch' && decision.plan.to.name, 'db3')
    assert.deepEqual(planSwitchover(trio, healthy(trio), 'db1'), {
      kind: 'already',
      primary: 'db1',
    })
  })

  test('is refused while a base backup runs', () => {
    const found = bend(healthy(trio), 'db1', ({ sql }) => ({
      sql: {
        ...sql,
        senders: sql.senders.map((sender) =>
          sender.applicationName === 'db3' ? { ...sender, state: 'backup' } : sender,
        ),
      },
    }))
    assert.match(refusal(found, 'db2'), /NOT_READY: A base backup runs on "db1"/)
  })

  test('is refused to a standby that has replayed what the primary has not written', () => {
    const found = bend(healthy(trio), 'db1', ({ sql }) => ({
      sql: {
        ...sql,
        senders: sql.senders.map((sender) => ({
          ...sender,
          isAhead: sender.applicationName === 'db2',
        })),
      },
    }))
    assert.match(refusal(found, 'db2'), /it has replayed WAL that is not on the primary/)
    const decision = planSwitchover(trio, found, undefined)
    assert.equal(decision.kind === 'switch' && decision.plan.to.name, 'db3')
  })

  test('is refused while many segments wait for the archive', () => {
    const found = bend(healthy(trio), 'db1', ({ sql }) => ({
      sql: { ...sql, archiver: { ...sql.archiver, readyCount: 500 } },
    }))
    assert.match(refusal(found), /500 segments to archive/)
  })

  test('is refused without a primary', () => {
    assert.match(refusal(stopped(healthy(trio), 'db1')), /PRIMARY_MISSING/)
  })

  test('tells of logical slots that do not come along', () => {
    const found = bend(healthy(trio), 'db1', ({ sql }) => {
      const [slot] = sql.slots
      assert.ok(slot)
      return { sql: { ...sql, slots: [...sql.slots, { ...slot, name: 'cdc', isPhysical: false }] } }
    })
    const decision = planSwitchover(trio, found, undefined)
    assert.equal(decision.kind, 'switch')
    assert.match(
      decision.plan.notes[0]?.message ?? '',
      /Logical slot "cdc" of "db1" is not on "db2"/,
    )
  })
})

describe('slots', () => {
  const [mine] = healthy(trio).servers[0]?.sql?.slots ?? []
  assert.ok(mine)
  const foreign = { ...mine, name: 'somebody' }

  test('of the new primary are made before: its own, and those others stream from', () => {
    const oldSlots = [mine, foreign, { ...foreign, name: 'idle', isActive: false }]
    const steps = slotSteps(trio, { to: 'db2', slots: [], oldSlots })
    assert.deepEqual(
      steps.map((step) => (step.action === 'slot' ? step.slot : step.action)),
      ['backstay_db1', 'backstay_db3', 'backstay_vault', 'somebody'],
    )
  })

  test('that are there already are not made again', () => {
    const slots = [{ ...mine, name: 'backstay_db1' }, foreign]
    const steps = slotSteps(trio, { to: 'db2', slots, oldSlots: [foreign] })
    assert.deepEqual(
      steps.map((step) => (step.action === 'slot' ? step.slot : step.action)),
      ['backstay_db3', 'backstay_vault'],
    )
  })
})

describe('an interrupted switchover', () => {
  const journal = (phase: SwitchoverJournal['phase'], endLsn?: string): SwitchoverJournal => ({
    operation: 'switchover',
    from: 'db1',
    to: 'db2',
    timeline: 1,
    phase,
    carriedSlots: [],
    startedAt: '2026-11-22T10:00:00.000Z',
    ...(endLsn === undefined ? {} : { endLsn }),
  })
  const gone = (found: ClusterFound, name: string): ClusterFound =>
    bend(found, name, () => ({
      running: undefined,
      sql: undefined,
      directory: { state: 'unknown' },
      hostError: { code: 'HOST_UNREACHABLE', message: 'no route', hint: '' },
    }))
  const promoted = (found: ClusterFound): ClusterFound =>
    bend(found, 'db2', ({ sql, directory }) => ({
      sql: { ...sql, inRecovery: false, timeline: 2 },
      directory: { ...directory, isStandby: false, timeline: 2 },
    }))
  const halted = stopped(healthy(trio), 'db1')
  const dead = (found: ClusterFound): ClusterFound => stopped(found, 'db2')

  const cases: readonly (readonly [string, SwitchoverJournal, ClusterFound, WayOn])[] = [
    ['begins anew while the old primary serves', journal('stop'), healthy(trio), 'anew'],
    ['goes forward once it has stopped', journal('stop'), halted, 'forward'],
    [
      'goes forward when the promotion was not asked for',
      journal('promote', '0/5'),
      halted,
      'forward',
    ],
    ['goes back when the candidate has died', journal('prove', '0/5'), dead(halted), 'back'],
    [
      'goes back when it died before its promotion',
      journal('promote', '0/5'),
      dead(halted),
      'back',
    ],
    [
      'is unknown when it may be promoted and is away',
      journal('promote', '0/5'),
      gone(halted, 'db2'),
      'unknown',
    ],
    [
      'is unknown when it was promoted and is away',
      journal('settle'),
      gone(halted, 'db2'),
      'unknown',
    ],
    [
      'goes back when it is away and was never asked',
      journal('fence'),
      gone(halted, 'db2'),
      'back',
    ],
    ['settles when it is the primary', journal('promote', '0/5'), promoted(halted), 'settle'],
    ['sees two primaries', journal('promote', '0/5'), promoted(healthy(trio)), 'two-primaries'],
    [
      'goes forward without the old primary once its end is proved',
      journal('prove', '0/5'),
      gone(healthy(trio), 'db1'),
      'forward',
    ],
    ['is unknown without it before', journal('fence'), gone(healthy(trio), 'db1'), 'unknown'],
  ]
  for (const [title, written, found, way] of cases) {
    test(title, () => assert.equal(wayOf(written, found), way))
  }

  describe('after which somebody else changed roles', () => {
    const line = (timeline: number): Line => ({
      timeline,
      history: {
        timeline,
        switches: timeline === 1 ? [] : [{ timeline: 1, switchLsn: toLsn(0x3000100n), reason: '' }],
      },
      hasLsn: toLsn(0x3000200n),
    })
    const unseen = gone(halted, 'db3')
    const silent = bend(halted, 'db3', ({ sql }) => ({ sql: { ...sql, receiver: undefined } }))
    const moved: readonly (readonly [string, SwitchoverJournal, ClusterFound, Lines, WayOn])[] = [
      [
        'to one that is not seen is overtaken when the candidate follows that one',
        journal('promote', '0/5'),
        unseen,
        new Map([['db2', line(2)]]),
        'overtaken',
      ],
      [
        'is overtaken also when it believed that it had promoted it',
        journal('settle', '0/5'),
        unseen,
        new Map([['db2', line(2)]]),
        'overtaken',
      ],
      [
        'is overtaken when the old primary has been on a later timeline and the candidate is dead',
        journal('prove', '0/5'),
        dead(unseen),
        new Map([['db1', line(2)]]),
        'overtaken',
      ],
      [
        'is overtaken when a third server receives on a later timeline',
        journal('prove', '0/5'),
        halted,
        new Map([['db3', line(2)]]),
        'overtaken',
      ],
      [
        'goes on beside a third one that was promoted by mistake and receives from nobody',
        journal('prove', '0/5'),
        silent,
        new Map([['db3', line(2)]]),
        'forward',
      ],
      [
        'goes on where nobody has left the timeline',
        journal('promote', '0/5'),
        unseen,
        new Map([['db2', line(1)]]),
        'forward',
      ],
    ]
    for (const [title, written, found, lines, way] of moved) {
      test(title, () => assert.equal(wayOf(written, found, lines), way))
    }

    test('brings no old primary back while anybody at all is on a line that came from its own', () => {
      assert.equal(mayBeOvertaken(journal('prove'), halted, new Map()), undefined)
      const told = mayBeOvertaken(journal('prove'), silent, new Map([['db3', line(2)]]))
      assert.equal(told, '"db3" is on timeline 2')
      assert.equal(
        mayBeOvertaken(journal('prove'), promoted(halted), new Map()),
        '"db2" is primary',
      )
    })

    test('promotes no candidate that was fed meanwhile', () => {
      const to = { name: 'db2' } as AnsweringMember
      const before = new Map([['db2', line(1)]])
      assert.equal(changeSince({ to, lines: before }, halted, before), undefined)
      const own = changeSince({ to, lines: before }, halted, new Map([['db2', line(2)]]))
      assert.equal(own, 'it is on timeline 2 now')
      const another = new Map([...before, ['db3', line(2)] as const])
      assert.equal(changeSince({ to, lines: before }, halted, another), '"db3" is on timeline 2')
      assert.equal(changeSince({ to, lines: another }, halted, another), undefined)
      assert.equal(changeSince({ to, lines: before }, healthy(trio), before), '"db1" is primary')
    })
  })
})
