import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stoppingHistories } from '../../../src/wal/damaged-histories.ts'

const history = (timeline: number) => [timeline, { timeline, switches: [] }] as const
const NAME = (timeline: number): string => `0000000${timeline}.history`

function stopping(held: readonly number[], damaged: readonly number[], way: [number, number]) {
  const objects = damaged.map((timeline) => `shop/wal/${NAME(timeline)}.zst`)
  const partial = 'shop/wal/00000001/00000000/000000010000000000000007.partial'
  const map = { histories: new Map(held.map(history)), damaged: [...objects, partial] }
  return stoppingHistories(map, { from: way[0], to: way[1] })
}

test('a recovery is stopped by histories of the timelines it may pass, and by the next that it probes', () => {
  assert.deepEqual(stopping([3], [2], [2, 2]), [NAME(2)])
  assert.deepEqual(stopping([3], [2], [1, 3]), [NAME(2)])
  assert.deepEqual(stopping([], [2], [1, 1]), [NAME(2)])
  assert.deepEqual(stopping([2, 3], [4], [1, 2]), [NAME(4)])
})

test('no other stops it', () => {
  assert.deepEqual(stopping([3], [2], [3, 3]), [], 'an older one')
  assert.deepEqual(stopping([2], [4], [1, 2]), [], 'one behind a number that is not held')
  assert.deepEqual(stopping([2, 3], [], [1, 3]), [])
})
