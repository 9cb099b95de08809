/**
 * The end of long outputs.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { TailBuffer } from '../../../src/host/tail-buffer.ts'

test('exactly the last bytes are kept, however they came', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ maxLength: 30 })),
      fc.integer({ min: 1, max: 50 }),
      (parts, limit) => {
        const tail = new TailBuffer(limit)
        const ascii = parts.map((part) => part.replaceAll(/[^ -~]/g, '?'))
        for (const part of ascii) tail.push(Buffer.from(part))
        assert.equal(tail.bytes().toString(), ascii.join('').slice(-limit))
      },
    ),
  )
})
