import assert from 'node:assert/strict'
import { it } from 'node:test'
import * as fc from 'fast-check'
import { BlockSet } from '../../../src/postgres/block-set.ts'

const block = fc.oneof(fc.nat(100), fc.nat(5000), fc.nat(2 ** 32 - 2))
const step = fc.oneof(
  fc.record({ add: fc.array(block, { maxLength: 20 }) }),
  fc.record({ run: block, length: fc.nat(2000) }),
  fc.record({ cut: block }),
)

const listed = (set: BlockSet): number[] =>
  [...set.runs()].flatMap(({ from, to }) => Array.from({ length: to - from }, (_, i) => from + i))

it('a set holds what was added and not cut since, in order', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
      const set = new BlockSet()
      let model = new Set<number>()
      for (const one of steps) {
        if ('cut' in one) {
          set.cut(one.cut)
          model = new Set([...model].filter((each) => each < one.cut))
        } else if ('add' in one) {
          for (const each of one.add) set.add(each)
          for (const each of one.add) model.add(each)
        } else {
          const to = Math.min(one.run + one.length, 2 ** 32 - 1)
          set.addRun({ from: one.run, to })
          for (let each = one.run; each < to; each += 1) model.add(each)
        }
      }
      assert.deepEqual(
        listed(set),
        [...model].sort((a, b) => a - b),
      )
      for (const each of [0, 1, 1023, 1024, ...model]) assert.equal(set.has(each), model.has(each))
      const copy = new BlockSet()
      copy.addAll(set)
      assert.deepEqual([...copy.runs()], [...set.runs()])
    }),
  )
})

it('tells whether a stretch has a block in it', () => {
  const set = new BlockSet()
  set.add(5000)
  assert.deepEqual(
    [
      [0, 5000],
      [0, 5001],
      [5001, 90_000],
      [4000, 90_000],
    ].map(([from = 0, to = 0]) => set.hasAny({ from, to })),
    [false, true, false, true],
  )
})
