import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { forEachBounded } from '../../../src/util/bounded.ts'

suite('bounded work', () => {
  test('does everything once, in order, never more at a time than the limit', async () => {
    const begun: number[] = []
    let running = 0
    let most = 0
    await forEachBounded([10, 11, 12, 13, 14], 2, async (item, index) => {
      assert.equal(item, index + 10)
      begun.push(index)
      running += 1
      most = Math.max(most, running)
      await turn()
      running -= 1
    })
    assert.deepEqual(begun, [0, 1, 2, 3, 4])
    assert.equal(most, 2)
  })

  test('the first failure stops new work and is thrown when the running work has settled', async () => {
    const finished: number[] = []
    const work = forEachBounded([0, 1, 2, 3], 2, async (item) => {
      if (item === 0) throw new Error('first')
      await turn()
      finished.push(item)
      if (item === 1) throw new Error('second')
    })
    await assert.rejects(work, /first/)
    assert.deepEqual(finished, [1])
  })

  test('nothing to do is done at once, a limit below one counts as one', async () => {
    await forEachBounded([], 4, async () => assert.fail())
    const done: number[] = []
    await forEachBounded([1, 2], 0, async (item) => void done.push(item))
    assert.deepEqual(done, [1, 2])
  })
})
