/** What the continuity map calls a range, a gap and a reachable moment. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { formatLsn, parseLsn, toLsn, type Lsn } from '../../../src/postgres/lsn.ts'
import type { Segment } from '../../../src/postgres/segment-name.ts'
import { parseTimelineHistory, type TimelineHistory } from '../../../src/postgres/timeline.ts'
import {
  buildContinuityMap,
  findGaps,
  reachableEnd,
  recoverableRange,
  recoverableWindows,
  type ContinuityMap,
} from '../../../src/wal/continuity.ts'
import type { WalRange } from '../../../src/wal/wal-position.ts'

const MIB = 1024 * 1024
const SEGMENT_BYTES = 16 * MIB

const lsn = (text: string): Lsn => parseLsn(text) as Lsn
const history = (timeline: number, content: string): TimelineHistory =>
  parseTimelineHistory(timeline, content) as TimelineHistory
const segments = (timeline: number, ...numbers: number[]): Segment[] =>
  numbers.map((number) => ({ timeline, number: BigInt(number) }))

function mapOf(
  held: Segment[],
  more: { tails?: WalRange[]; histories?: TimelineHistory[] } = {},
): ContinuityMap {
  return buildContinuityMap({
    segmentBytes: SEGMENT_BYTES,
    segments: held,
    tails: more.tails ?? [],
    histories: more.histories ?? [],
  })
}

function spell(ranges: Iterable<WalRange>): string[] {
  return [...ranges].map(
    (range) => `${range.timeline}: ${formatLsn(range.startLsn)}-${formatLsn(range.endLsn)}`,
  )
}

const allRanges = (map: ContinuityMap): string[] => spell([...map.ranges.values()].flat())

describe('buildContinuityMap', () => {
  it('joins neighbouring segments and a tail to one range', () => {
    const tail = { timeline: 1, startLsn: lsn('0/4000000'), endLsn: lsn('0/4000060') }
    const map = mapOf(segments(1, 3, 1, 2), { tails: [tail] })
    assert.deepEqual(allRanges(map), ['1: 0/1000000-0/4000060'])
  })

  it('keeps timelines apart', () => {
    const map = mapOf([...segments(2, 3), ...segments(1, 2, 3)])
    assert.deepEqual(allRanges(map), ['1: 0/2000000-0/4000000', '2: 0/3000000-0/4000000'])
  })

  it('holds exactly the segments given, whatever their order', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(40)), (numbers) => {
        const ranges = mapOf(segments(1, ...numbers)).ranges.get(1) ?? []
        const covered = numbers.filter((number) =>
          ranges.some(
            (range) =>
              range.startLsn <= BigInt(number) * BigInt(SEGMENT_BYTES) &&
              BigInt(number + 1) * BigInt(SEGMENT_BYTES) <= range.endLsn,
          ),
        )
        const total = ranges.reduce((sum, range) => sum + (range.endLsn - range.startLsn), 0n)
        assert.equal(covered.length, numbers.length)
        assert.equal(total, BigInt(numbers.length) * BigInt(SEGMENT_BYTES))
      }),
    )
  })
})

describe('findGaps', () => {
  it('names the hole between two ranges of a timeline', () => {
    assert.deepEqual(spell(findGaps(mapOf(segments(1, 1, 2, 5)))), ['1: 0/3000000-0/5000000'])
  })

  it('sees no gap when the new timeline begins with the segment of the switch', () => {
    const histories = [history(2, '1\t0/3000100\tno recovery target specified\n')]
    const held = [...segments(1, 1, 2), ...segments(2, 3)]
    assert.deepEqual(findGaps(mapOf(held, { histories })), [])
  })

  it('names what is missing at the end of the old timeline', () => {
    const histories = [history(2, '1\t0/5000100\treason\n')]
    const held = [...segments(1, 1, 2), ...segments(2, 5)]
    assert.deepEqual(spell(findGaps(mapOf(held, { histories }))), ['1: 0/3000000-0/5000000'])
  })

  it('names what is missing at the beginning of the new timeline', () => {
    const histories = [history(2, '1\t0/3000100\treason\n')]
    const held = [...segments(1, 1, 2), ...segments(2, 6)]
    assert.deepEqual(spell(findGaps(mapOf(held, { histories }))), ['2: 0/3000000-0/6000000'])
  })
})

describe('findGaps on a new backup host', () => {
  const third = history(3, '1\t0/3000100\ta\n2\t0/5000100\tb\n')

  it('takes WAL that begins in the middle of a timeline for the beginning', () => {
    assert.deepEqual(findGaps(mapOf(segments(3, 8, 9), { histories: [third] })), [])
  })

  it('sees the hole as soon as an ancestor of before it is held', () => {
    const held = [...segments(1, 1), ...segments(3, 8, 9)]
    assert.deepEqual(spell(findGaps(mapOf(held, { histories: [third] }))), [
      '3: 0/5000000-0/8000000',
    ])
  })
})

describe('reachableEnd', () => {
  const two = history(2, '1\t0/3000100\treason\n')

  it('stops at the first hole', () => {
    const map = mapOf(segments(1, 1, 2, 4))
    const end = reachableEnd(map, { timeline: 1, lsn: lsn('0/1000028') }, history(1, ''))
    assert.deepEqual(end, { timeline: 1, lsn: lsn('0/3000000') })
  })

  it('crosses a switch through the newer timeline', () => {
    const map = mapOf([...segments(1, 1, 2), ...segments(2, 3, 4)], { histories: [two] })
    const end = reachableEnd(map, { timeline: 1, lsn: lsn('0/1000028') }, two)
    assert.deepEqual(end, { timeline: 2, lsn: lsn('0/5000000') })
  })

  it('ends at the switch when nothing of the newer timeline is held', () => {
    const map = mapOf(segments(1, 1, 2, 3), { histories: [two] })
    const end = reachableEnd(map, { timeline: 1, lsn: lsn('0/1000028') }, two)
    assert.deepEqual(end, { timeline: 1, lsn: lsn('0/3000100') })
  })

  it('crosses two switches at the same position', () => {
    const three = history(3, '1\t0/3000100\ta\n2\t0/3000100\tb\n')
    const map = mapOf([...segments(1, 2), ...segments(3, 3)], { histories: [two, three] })
    const end = reachableEnd(map, { timeline: 1, lsn: lsn('0/2000028') }, three)
    assert.deepEqual(end, { timeline: 3, lsn: lsn('0/4000000') })
  })

  it('refuses a beginning that the history left behind', () => {
    const map = mapOf([...segments(1, 3, 4), ...segments(2, 3)], { histories: [two] })
    assert.equal(reachableEnd(map, { timeline: 1, lsn: lsn('0/4000028') }, two), undefined)
  })

  it('never claims a byte that is not held', () => {
    const arbitrary = fc.record({
      one: fc.uniqueArray(fc.integer({ min: 1, max: 8 })),
      two: fc.uniqueArray(fc.integer({ min: 1, max: 8 })),
      switchAt: fc.integer({ min: SEGMENT_BYTES, max: 8 * SEGMENT_BYTES }),
      from: fc.integer({ min: SEGMENT_BYTES, max: 8 * SEGMENT_BYTES }),
    })
    fc.assert(
      fc.property(arbitrary, (given) => {
        const switchLsn = toLsn(BigInt(given.switchAt))
        const target = { timeline: 2, switches: [{ timeline: 1, switchLsn, reason: '' }] }
        const held = [...segments(1, ...given.one), ...segments(2, ...given.two)]
        const from = toLsn(BigInt(given.from))
        const end = reachableEnd(
          mapOf(held, { histories: [target] }),
          { timeline: 1, lsn: from },
          target,
        )
        if (end === undefined) return
        const isHeld = (timeline: number, at: bigint): boolean =>
          (timeline === 1 ? given.one : given.two).includes(Number(at / BigInt(SEGMENT_BYTES)))
        for (let at = from as bigint; at < end.lsn; at += BigInt(MIB)) {
          const inSwitchSegment =
            at / BigInt(SEGMENT_BYTES) === switchLsn / BigInt(SEGMENT_BYTES) && end.timeline === 2
          const timeline = at >= switchLsn || inSwitchSegment ? 2 : 1
          assert.ok(isHeld(timeline, at), `${formatLsn(toLsn(at))} on ${timeline}`)
        }
      }),
    )
  })
})

describe('recoverable windows', () => {
  const backup = (id: string, timeline: number, start: string, stop: string) => ({
    id,
    timeline,
    startLsn: lsn(start),
    stopLsn: lsn(stop),
  })

  it('leave out a backup whose own WAL has a hole', () => {
    const map = mapOf(segments(1, 1, 3, 4))
    const backups = [
      backup('a', 1, '0/1000028', '0/3000100'),
      backup('b', 1, '0/3000028', '0/3000100'),
    ]
    assert.deepEqual(
      recoverableWindows(backups, map).map((window) => window.backup),
      ['b'],
    )
  })

  it('follow the newest timeline the backup leads to', () => {
    const map = mapOf([...segments(1, 1, 2, 3), ...segments(2, 3)], {
      histories: [history(2, '1\t0/3000100\treason\n')],
    })
    const range = recoverableRange([backup('a', 1, '0/1000028', '0/1000100')], map)
    assert.deepEqual(range, {
      from: { timeline: 1, lsn: lsn('0/1000100') },
      to: { timeline: 2, lsn: lsn('0/4000000') },
    })
  })

  it('stay on the timeline of a backup that the newer one does not contain', () => {
    const map = mapOf([...segments(1, 1, 2, 3, 4), ...segments(2, 3)], {
      histories: [history(2, '1\t0/3000100\treason\n')],
    })
    const windows = recoverableWindows([backup('a', 1, '0/4000028', '0/4000100')], map)
    assert.deepEqual(windows[0]?.to, { timeline: 1, lsn: lsn('0/5000000') })
  })

  it('are none without a backup', () => {
    assert.equal(recoverableRange([], mapOf(segments(1, 1))), undefined)
  })
})
