import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bytesBeforeZeros } from '../../../src/util/zero-tail.ts'

test('the zeros at the end are not counted, whatever stands before them', () => {
  const lengths = fc.integer({ min: 0, max: 200_000 })
  fc.assert(
    fc.property(lengths, lengths, fc.integer({ min: 1, max: 255 }), (used, zeros, last) => {
      const content = Buffer.alloc(used + zeros)
      if (used > 0) content[used - 1] = last
      assert.equal(bytesBeforeZeros(content), used)
    }),
  )
})
