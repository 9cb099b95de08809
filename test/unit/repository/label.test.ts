import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { printableWord } from '../../../src/errors/printable.ts'
import { checkLabel } from '../../../src/repository/label.ts'

describe('a label', () => {
  it('may be any words in one line', () => {
    for (const label of ['weekly', 'before the migration', 'перед миграцией', '20261122']) {
      checkLabel(label)
    }
  })

  it('is refused when it breaks a line, moves the cursor, or means a backup by itself', () => {
    const bad = ['a\nb', '\u001B[31mred', 'tab\there', '\u202Egnp', '', ' ', 'x'.repeat(201)]
    for (const label of [...bad, 'latest', 'oldest', 'auto', '20261122T084545']) {
      assert.throws(
        () => checkLabel(label),
        (error) => {
          assert.ok(isBackstayError(error, 'USAGE'))
          assert.doesNotMatch(error.message, /[\p{Cc}\p{Cf}]/u)
          return true
        },
        label,
      )
    }
  })

  it('that is stored already is printed harmless', () => {
    assert.equal(printableWord('a\n\u001B[31mb'), String.raw`a\x0a\x1b[31mb`)
    assert.equal(printableWord('weekly'), 'weekly')
  })
})
