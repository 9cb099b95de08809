import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  planExpiry,
  type RetentionFacts,
  type RetentionPolicy,
} from '../../../src/backup/retention.ts'
import { segmentStart } from '../../../src/postgres/segment-name.ts'
import type { CataloguedBackup } from '../../../src/repository/backup-info.ts'
import { backup, DAY_MS, lsn, NOW_MS, SEGMENT_BYTES } from './fixtures.ts'

function facts(
  backups: readonly CataloguedBackup[],
  more: Partial<RetentionFacts> = {},
): RetentionFacts {
  return {
    backups,
    inUse: new Set(),
    segments: Array.from({ length: 110 }, (_, n) => ({ timeline: 1, number: BigInt(n) })),
    histories: [],
    segmentBytes: SEGMENT_BYTES,
    nowMs: NOW_MS,
    ...more,
  }
}

const policy = (changes: Partial<RetentionPolicy>): RetentionPolicy => ({
  windowMs: undefined,
  count: undefined,
  minimum: 1,
  ...changes,
})

/** Which of `backups` expire, as indexes. */
function expired(
  backups: readonly CataloguedBackup[],
  wish: Partial<RetentionPolicy>,
  more: Partial<RetentionFacts> = {},
): number[] {
  const { expire, stay } = planExpiry(facts(backups, more), policy(wish))
  assert.equal(expire.length + stay.length, backups.length)
  return expire.map(({ id }) => backups.findIndex(({ info }) => info.id === id))
}

const daily = [0, 1, 2, 3, 4, 5, 6, 7, 8].map((days) => backup(days))

describe('retention of backups', () => {
  it('lets nothing expire without window and count', () => {
    assert.deepEqual(expired(daily, {}), [])
  })

  it('keeps the window restorable: one backup from before it stays', () => {
    assert.deepEqual(expired(daily, { windowMs: 3.5 * DAY_MS }), [5, 6, 7, 8])
  })

  it('keeps the newest by count', () => {
    assert.deepEqual(expired(daily, { count: 3 }), [3, 4, 5, 6, 7, 8])
  })

  it('lets a backup go only when window and count both do', () => {
    assert.deepEqual(expired(daily, { count: 7, windowMs: 2.5 * DAY_MS }), [7, 8])
    assert.deepEqual(expired(daily, { count: 2, windowMs: 3.5 * DAY_MS }), [5, 6, 7, 8])
  })

  it('keeps the minimum however old the backups are', () => {
    const old = [100, 200, 300].map((days) =>
      backup(days % 99, { finishedAt: new Date(NOW_MS - days * DAY_MS).toISOString() }),
    )
    assert.deepEqual(expired(old, { windowMs: DAY_MS, minimum: 2 }), [2])
  })

  it('counts only good backups for the minimum and for the beginning of the window', () => {
    const backups = [
      backup(0, { status: 'bad-pages' }),
      backup(1, { status: 'bad-pages' }),
      backup(2),
      backup(3),
    ]
    assert.deepEqual(expired(backups, { count: 1, minimum: 1 }), [1, 3])
    assert.deepEqual(expired(backups, { windowMs: 0.5 * DAY_MS, minimum: 1 }), [3])
  })

  it('keeps the newest bad ones when there is no good one', () => {
    const backups = [0, 1, 2].map((days) => backup(days, { status: 'bad-pages' }))
    assert.deepEqual(expired(backups, { count: 1, minimum: 2 }), [2])
  })

  it('keeps one with bad pages rather than one that cannot be restored, and one in doubt rather than that', () => {
    const bad = [0, 1, 2].map((days) => backup(days, { status: 'bad-pages' }))
    const gone = { unusable: new Set([bad[0]?.info.id ?? '']) }
    assert.deepEqual(expired(bad, { count: 1 }, gone), [2])
    const mixed = [backup(0), backup(1, { status: 'bad-pages' }), backup(2), backup(3)]
    const idOf = (index: number): string => mixed[index]?.info.id ?? ''
    const known = { unusable: new Set([idOf(0), idOf(3)]), doubtful: new Set([idOf(2)]) }
    assert.deepEqual(expired(mixed, { count: 1 }, known), [1, 3])
  })

  it('never lets a kept or used backup go', () => {
    const backups = [backup(0), backup(1, { keep: 'standalone' }), backup(2), backup(3)]
    const inUse = new Set([backups[3]?.info.id ?? ''])
    assert.deepEqual(expired(backups, { count: 1 }, { inUse }), [2])
  })
})

describe('retention on a tree of timelines', () => {
  // Backups start in segment 100 - days. Production was set back to segment 96.5 three days ago and went on as timeline 2.
  const history = {
    timeline: 2,
    switches: [{ timeline: 1, switchLsn: lsn('0/60800000'), reason: '' }],
  }
  const dead = { timeline: 1, switches: [] }
  const lines = {
    abandoned: new Set<number>(),
    current: [history],
    past: [{ history: dead, leftAtMs: NOW_MS - 3 * DAY_MS }],
  }
  const more = { lines, histories: [history] }
  // Newest first: two of the dead branch, the base of the living one, and two older.
  const abandoned = [backup(1), backup(2), backup(4), backup(5), backup(6)]

  it('keeps the only base of the living line, whatever the dead branch has', () => {
    assert.deepEqual(expired(abandoned, { count: 2 }, more), [4])
    assert.deepEqual(expired(abandoned, { count: 1, minimum: 1 }, more), [1, 3, 4])
    assert.deepEqual(expired(abandoned, { windowMs: 2.5 * DAY_MS }, more), [3, 4])
  })

  it('keeps the only one that can be restored, although it is of the dead branch', () => {
    const ids = abandoned.map(({ info }) => info.id)
    const unusable = new Set(ids.filter((_, index) => index !== 1))
    assert.deepEqual(expired(abandoned, { count: 1 }, { ...more, unusable }), [3, 4])
  })

  it('lets the dead branch go once the living line has backups of its own', () => {
    const living = [0, 0].map((days) =>
      backup(days, {
        timeline: 2,
        startLsn: lsn('0/61000028'),
        stopLsn: lsn('0/61000100'),
      }),
    )
    const all = [...living, ...abandoned]
    const { expire } = planExpiry(facts(all, more), policy({ count: 2 }))
    assert.equal(expire.length, abandoned.length)
  })

  it('keeps what the window needs of the line production was on in it', () => {
    const away = [{ history: dead, leftAtMs: NOW_MS - DAY_MS }]
    const still = { lines: { ...lines, past: away }, histories: [history] }
    // Timeline 1 served until yesterday: its moments of the day before are restored from the backup of two days ago.
    assert.deepEqual(expired(abandoned, { windowMs: 1.5 * DAY_MS }, still), [3, 4])
    const long = { lines: { ...lines, past: [] }, histories: [history] }
    assert.deepEqual(expired(abandoned, { windowMs: 1.5 * DAY_MS }, long), [1, 3, 4])
  })

  it('protects a base on each line while it cannot be told which one lives', () => {
    const both = { lines: { ...lines, current: [history, dead], past: [] }, histories: [history] }
    assert.deepEqual(expired(abandoned, { count: 1 }, both), [1, 3, 4])
  })

  it('takes no backup for good whose own WAL is not held', () => {
    const unusable = new Set([abandoned[0]?.info.id ?? ''])
    assert.deepEqual(expired(abandoned, { count: 1 }, { unusable }), [2, 3, 4])
  })

  it('counts good backups beside the bad ones', () => {
    const bad = [backup(0, { status: 'bad-pages' }), backup(1, { status: 'bad-pages' }), backup(2)]
    assert.deepEqual(expired([...bad, backup(3), backup(4)], { count: 2 }), [4])
  })

  it('lets WAL of a dead branch go that nothing leads to, though it lies behind the newest backup', () => {
    const only = backup(0, { timeline: 2, startLsn: lsn('0/61000028'), stopLsn: lsn('0/61000100') })
    const segments = [97, 98, 99].flatMap((n) => [
      { timeline: 1, number: BigInt(n) },
      { timeline: 2, number: BigInt(n) },
    ])
    const plan = planExpiry(facts([only], { ...more, segments }), policy({ count: 1 }))
    const gone = plan.segments.map(({ timeline, number }) => `${timeline}:${number}`)
    assert.deepEqual(gone, ['1:97', '1:98', '1:99'])
  })
})

describe('retention of WAL', () => {
  const removed = (
    backups: readonly CataloguedBackup[],
    wish: Partial<RetentionPolicy>,
    more: Partial<RetentionFacts> = {},
  ) =>
    planExpiry(facts(backups, more), policy(wish)).segments.map(
      (segment) => `${segment.timeline}:${segment.number}`,
    )

  it('removes segments before the oldest backup that stays, and none after', () => {
    // Backups start in segments 100, 98, 96.
    const backups = [backup(0), backup(2), backup(4)]
    const gone = removed(backups, { count: 2 })
    assert.deepEqual(
      gone,
      Array.from({ length: 98 }, (_, n) => `1:${n}`),
    )
  })

  it('keeps only the WAL of its own for a backup kept standalone', () => {
    const backups = [backup(0), backup(50, { keep: 'standalone' })]
    const gone = removed(backups, { count: 1 })
    assert.ok(!gone.includes('1:50'))
    assert.ok(gone.includes('1:49') && gone.includes('1:51') && gone.includes('1:99'))
    assert.ok(!gone.includes('1:100'))
  })

  it('keeps all WAL after a backup kept in full', () => {
    const gone = removed([backup(0), backup(50, { keep: 'full' })], { count: 1 })
    assert.deepEqual(
      gone,
      Array.from({ length: 50 }, (_, n) => `1:${n}`),
    )
  })

  it('keeps all WAL while no backup is there to roll forward', () => {
    assert.deepEqual(removed([], { count: 1 }), [])
  })

  it('keeps the old timeline as far as a backup on it needs it, and the new one behind it', () => {
    const histories = [
      { timeline: 2, switches: [{ timeline: 1, switchLsn: lsn('0/60000000'), reason: '' }] },
    ]
    const segments = [94, 95, 96, 97].flatMap((n) => [
      { timeline: 1, number: BigInt(n) },
      { timeline: 2, number: BigInt(n) },
    ])
    // Starts in segment 95 of timeline 1, before the switch in segment 96.
    const backups = [backup(5)]
    const gone = removed(backups, { count: 1 }, { histories, segments })
    assert.deepEqual(gone, ['1:94', '2:94'])
  })

  it('keeps WAL of a timeline whose history is not known', () => {
    const segments = [
      { timeline: 3, number: 99n },
      { timeline: 3, number: 10n },
    ]
    assert.deepEqual(removed([backup(0), backup(3)], { count: 2 }, { segments }), ['3:10'])
  })

  it('never removes a segment between start and stop of a backup that stays, nor after the newest start', () => {
    const one = fc.record({
      days: fc.integer({ min: 0, max: 60 }),
      keep: fc.constantFrom(undefined, 'standalone' as const, 'full' as const),
      bad: fc.boolean(),
      timeline: fc.constantFrom(1, 2),
    })
    const wish = fc.record({
      count: fc.option(fc.nat(5), { nil: undefined }),
      windowMs: fc.option(
        fc.nat(40).map((days) => days * DAY_MS),
        { nil: undefined },
      ),
      minimum: fc.nat(3),
    })
    const histories = [
      { timeline: 2, switches: [{ timeline: 1, switchLsn: lsn('0/50000000'), reason: '' }] },
    ]
    const segments = [1, 2].flatMap((timeline) =>
      Array.from({ length: 110 }, (_, n) => ({ timeline, number: BigInt(n) })),
    )
    fc.assert(
      fc.property(
        fc.uniqueArray(one, { selector: ({ days }) => days, maxLength: 8 }),
        wish,
        (ones, wanted) => {
          const backups = ones
            .sort((a, b) => a.days - b.days)
            .map(({ days, keep, bad, timeline }) =>
              backup(days, { timeline, status: bad ? 'bad-pages' : 'done', ...(keep && { keep }) }),
            )
          const plan = planExpiry(facts(backups, { histories, segments }), policy(wanted))
          const stay = backups.filter(({ info }) => plan.stay.some(({ id }) => id === info.id))
          if (backups.some(({ info }) => info.status === 'done')) {
            assert.ok(
              stay.some(({ info }) => info.status === 'done'),
              'a good backup stays',
            )
          }
          for (const segment of plan.segments) {
            const start = segmentStart(segment, SEGMENT_BYTES)
            for (const { info, keep } of stay) {
              const overlaps = start < info.stopLsn && start + BigInt(SEGMENT_BYTES) > info.startLsn
              assert.ok(!(overlaps && segment.timeline === info.timeline), 'consistency')
              const after = segment.timeline === info.timeline && start >= info.startLsn
              if (keep?.target !== 'standalone') assert.ok(!after, 'roll forward')
            }
          }
        },
      ),
      { numRuns: 400 },
    )
  })
})
