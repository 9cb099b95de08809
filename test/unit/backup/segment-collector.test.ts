import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { SegmentCollector } from '../../../src/backup/segment-collector.ts'
import { toLsn } from '../../../src/postgres/lsn.ts'

const SEGMENT = 1024 * 1024

describe('SegmentCollector', () => {
  it('puts segments together whatever the pieces', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 700_000 }), { maxLength: 8 }),
        async (sizes) => {
          const total = sizes.reduce((a, b) => a + b, 0)
          const stream = Buffer.from(Uint8Array.from({ length: total }, (_, n) => (n * 31) & 255))
          const collector = new SegmentCollector(
            { timeline: 1, startLsn: toLsn(BigInt(4095 * SEGMENT)) },
            SEGMENT,
          )
          const segments: { name: string; content: Buffer }[] = []
          let at = 0
          for (const size of sizes) {
            await collector.push(stream.subarray(at, at + size), async ({ name, content }) => {
              segments.push({ name, content: Buffer.from(content) })
            })
            at += size
          }
          const rest = collector.unfinished()
          const joined = Buffer.concat([
            ...segments.map(({ content }) => content),
            rest?.content ?? Buffer.alloc(0),
          ])
          assert.ok(joined.subarray(0, stream.length).equals(stream))
          assert.ok(
            joined.subarray(stream.length).every((byte) => byte === 0),
            'zeros behind the end',
          )
          const names = [
            '000000010000000000000FFF',
            '000000010000000100000000',
            '000000010000000100000001',
          ]
          assert.deepEqual(
            segments.map(({ name }) => name).slice(0, 3),
            names.slice(0, segments.length),
          )
        },
      ),
      { numRuns: 20 },
    )
  })
})
