/**
 * Slots and gathered writes.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Slots } from '../../../src/host/turns.ts'
import { Gatherer, WriteBuffers } from '../../../src/host/write-buffers.ts'

test('never more run at once than there are slots, and a failure gives its slot back', async () => {
  const slots = new Slots(2)
  let running = 0
  let most = 0
  const work = async (fail: boolean): Promise<void> => {
    running += 1
    most = Math.max(most, running)
    await new Promise(setImmediate)
    running -= 1
    if (fail) throw new Error('failed')
  }
  const all = Array.from({ length: 9 }, (_, index) => slots.run(() => work(index % 3 === 0)))
  const outcomes = await Promise.allSettled(all)
  assert.equal(most, 2)
  assert.equal(outcomes.filter(({ status }) => status === 'rejected').length, 3)
  await slots.run(async () => undefined)
})

test('what is written arrives once, whole and in its place, whatever the pieces', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 3_000_000 }), { maxLength: 6 }),
      async (sizes) => {
        const total = sizes.reduce((sum, size) => sum + size, 0)
        const result = Buffer.alloc(total)
        const gatherer = new Gatherer(new WriteBuffers(), async (bytes, position) => {
          await new Promise(setImmediate)
          result.set(bytes, position)
        })
        let value = 0
        for (const size of sizes) {
          const chunk = Buffer.alloc(size, ++value)
          await gatherer.write(chunk)
          chunk.fill(0xff)
        }
        await gatherer.flush()
        const wanted = Buffer.concat(sizes.map((size, index) => Buffer.alloc(size, index + 1)))
        assert.ok(result.equals(wanted))
        assert.equal(gatherer.totalBytes, total)
      },
    ),
    { numRuns: 15 },
  )
})

test('a write that failed is told by the next call and by flush, and buffers come back', async () => {
  const buffers = new WriteBuffers()
  const gatherer = new Gatherer(buffers, async () => {
    throw new Error('disk gone')
  })
  const fill = async (): Promise<void> => {
    for (let index = 0; index < 20; index++) await gatherer.write(Buffer.alloc(1024 * 1024))
  }
  await assert.rejects(fill(), /disk gone/)
  await assert.rejects(gatherer.flush(), /disk gone/)
  await gatherer.settle()
  const free = Array.from({ length: 5 }, () => buffers.take()).filter(
    (buffer) => buffer !== undefined,
  )
  assert.equal(free.length, 4)
})
