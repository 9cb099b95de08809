import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { type Lsn, parseLsn, toLsn } from '../../../src/postgres/lsn.ts'
import {
  formatTimelineHistory,
  isAncestor,
  parseTimelineHistory,
  switchPointOf,
  type TimelineHistory,
  timelineOf,
} from '../../../src/postgres/timeline.ts'

const at = (text: string): Lsn => parseLsn(text) ?? assert.fail(text)

/** tliOfPointInHistory: entries newest first, the first in whose stretch the position lies. */
function postgresTimelineOf(ends: readonly bigint[], position: bigint): number | undefined {
  const entries = [...ends, undefined].map((end, index) => ({ begin: ends[index - 1], end, index }))
  const found = entries.findLast(
    ({ begin, end }) =>
      (begin === undefined || begin <= position) && (end === undefined || position < end),
  )
  return found === undefined ? undefined : found.index + 1
}

const anyHistory: fc.Arbitrary<TimelineHistory> = fc
  .array(
    fc.record({
      step: fc.integer({ min: 1, max: 5 }),
      bytes: fc.bigInt({ min: 0n, max: 2n ** 40n }),
      reason: fc.constantFrom('no recovery target specified', 'before 2026-01-01', ''),
    }),
    { maxLength: 8 },
  )
  .map((entries) => {
    let timeline = 0
    let position = 0n
    const switches = entries.map(({ step, bytes, reason }) => {
      timeline += step
      position += bytes
      return { timeline, switchLsn: toLsn(position), reason }
    })
    return { timeline: timeline + 1, switches }
  })

suite('timeline history', () => {
  const text = [
    '1\t0/5000000\tno recovery target specified',
    '',
    '# a comment',
    '  2\t1/80\tbefore transaction 12',
    '',
  ].join('\n')
  const history = parseTimelineHistory(4, text) ?? assert.fail()

  test('a file of PostgreSQL is read, comments and blank lines skipped', () => {
    assert.deepEqual(history, {
      timeline: 4,
      switches: [
        { timeline: 1, switchLsn: at('0/5000000'), reason: 'no recovery target specified' },
        { timeline: 2, switchLsn: at('1/80'), reason: 'before transaction 12' },
      ],
    })
  })

  test('the switch position belongs to the next timeline', () => {
    assert.equal(timelineOf(history, at('0/4FFFFFF')), 1)
    assert.equal(timelineOf(history, at('0/5000000')), 2)
    assert.equal(timelineOf(history, at('1/80')), 4)
  })

  test('ancestors are known, others are not', () => {
    assert.deepEqual(
      [1, 2, 3, 4, 5].map((timeline) => isAncestor(history, timeline)),
      [true, true, false, true, false],
    )
    assert.equal(switchPointOf(history, 2), at('1/80'))
    assert.equal(switchPointOf(history, 4), undefined)
  })

  test('any history survives format and parse', () => {
    fc.assert(
      fc.property(anyHistory, (value) => {
        assert.deepEqual(parseTimelineHistory(value.timeline, formatTimelineHistory(value)), value)
      }),
    )
  })

  test('every position belongs to exactly one timeline of the history', () => {
    fc.assert(
      fc.property(anyHistory, fc.bigInt({ min: 0n, max: 2n ** 44n }), (value, position) =>
        isAncestor(value, timelineOf(value, toLsn(position))),
      ),
    )
  })

  for (const [what, damaged] of [
    ['a line without position', '1\n'],
    ['a malformed position', '1\t05000000\tx\n'],
    ['descending timelines', '2\t0/1\tx\n1\t0/2\tx\n'],
    ['its own timeline as ancestor', '4\t0/1\tx\n'],
    ['a word instead of a timeline', 'one\t0/1\tx\n'],
  ] as const) {
    test(`${what} makes it unreadable`, () => {
      assert.equal(parseTimelineHistory(4, damaged), undefined)
    })
  }

  test('a parent that was left before it began is passed over, as PostgreSQL passes over it', () => {
    const text = '1\t0/884DFA8\tx\n2\t0/1F8DD878\tx\n3\t0/1335A970\tat restore point "m1"\n'
    const odd = parseTimelineHistory(4, text) ?? assert.fail()
    const left = odd.switches.map(({ timeline, switchLsn }) => [timeline, switchLsn])
    assert.deepEqual(left, [
      [1, at('0/884DFA8')],
      [2, at('0/1335A970')],
    ])
  })

  test('a position belongs to the timeline that PostgreSQL finds for it, in whatever order the positions are', () => {
    const lsns = fc.bigInt({ min: 1n, max: 30n })
    fc.assert(
      fc.property(fc.array(lsns, { maxLength: 6 }), lsns, (ends, position) => {
        const lines = ends.map((end, index) => `${index + 1}\t0/${end.toString(16)}\tx\n`)
        const newest = ends.length + 1
        const parsed = parseTimelineHistory(newest, lines.join('')) ?? assert.fail()
        assert.equal(timelineOf(parsed, toLsn(position)), postgresTimelineOf(ends, position))
      }),
    )
  })

  test('the first timeline has an empty history', () => {
    assert.deepEqual(parseTimelineHistory(1, ''), { timeline: 1, switches: [] })
  })
})
