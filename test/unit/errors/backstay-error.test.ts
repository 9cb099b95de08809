import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { BackstayError, isBackstayError } from '../../../src/errors/backstay-error.ts'
import { ERROR_KINDS, type ErrorCode } from '../../../src/errors/codes.ts'

suite('error', () => {
  test('takes hint and exit code from the catalogue', () => {
    const error = new BackstayError('REPOSITORY_LOCKED', 'Cannot lock "x"')
    assert.equal(error.hint, ERROR_KINDS.REPOSITORY_LOCKED.remedy)
    assert.equal(error.exitCode, 11)
    assert.equal(error.retryable, true)
    assert.deepEqual(error.details, {})
    assert.equal(error.cause, undefined)
  })

  test('may have a hint, details and a cause of its own', () => {
    const cause = new Error('ENOENT')
    const error = new BackstayError('USAGE', 'x', { hint: 'do', details: { a: 1 }, cause })
    assert.deepEqual([error.hint, error.details, error.cause], ['do', { a: 1 }, cause])
    assert.equal(error.retryable, false)
  })

  test('is recognised by its code', () => {
    const error = new BackstayError('USAGE', 'x')
    assert.ok(isBackstayError(error))
    assert.ok(isBackstayError(error, 'USAGE'))
    assert.ok(!isBackstayError(error, 'BUG'))
    assert.ok(!isBackstayError(new Error('x')))
  })
})

suite('error catalogue', () => {
  const kinds = Object.entries(ERROR_KINDS) as [ErrorCode, (typeof ERROR_KINDS)[ErrorCode]][]

  test('every text is a sentence', () => {
    for (const [code, { says, remedy }] of kinds) {
      assert.match(says, /^([A-Z]|pg_).*\.$/, code)
      assert.match(remedy, /^[A-Z`].*[.?]$/, code)
    }
  })

  test('codes are words in capitals, exit codes those of the documentation', () => {
    const documented = [1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23, 30, 31, 40, 50, 51, 70, 130]
    for (const [code, { exitCode }] of kinds) {
      assert.match(code, /^[A-Z]+(_[A-Z]+)*$/)
      assert.ok(documented.includes(exitCode), `${code}: ${exitCode}`)
    }
  })
})
