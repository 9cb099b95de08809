import assert from 'node:assert/strict'
import { test } from 'node:test'
import { greatest } from '../../../src/util/greatest.ts'

test('the greatest of more values than a call takes arguments, or of none', () => {
  const many = Array.from({ length: 300_000 }, (_, index) => index)
  assert.equal(greatest(many, 0), 299_999)
  assert.equal(greatest([], 7), 7)
})
