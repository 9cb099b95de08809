import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { saslprep } from '../../../src/wire/saslprep.ts'

describe('saslprep', () => {
  for (const [what, password, prepared] of [
    ['drops a soft hyphen (RFC 4013 example 1)', 'I\u00ADX', 'IX'],
    ['leaves plain text (example 2)', 'user', 'user'],
    ['keeps case (example 3)', 'USER', 'USER'],
    ['takes compatibility forms apart (example 4)', '\u00AA', 'a'],
    ['takes compatibility forms apart (example 5)', '\u2168', 'IX'],
    ['makes other spaces a space', 'a\u00A0b\u3000c', 'a b c'],
    ['composes accents', 'e\u0301', '\u00E9'],
    ['leaves an emoji', 'pass 😀', 'pass 😀'],
    ['leaves right-to-left text', '\u05D0\u05D1\u05D2', '\u05D0\u05D1\u05D2'],
    ['uses a prohibited control character as it is (example 6)', 'a\u0007\u00AA', 'a\u0007\u00AA'],
    ['uses mixed directions as they are (example 7)', '\u0627\u00AA1', '\u0627\u00AA1'],
    ['uses what would become empty as it is', '\u00AD', '\u00AD'],
  ] as const) {
    it(what, () => assert.equal(saslprep(password), prepared))
  }
})
