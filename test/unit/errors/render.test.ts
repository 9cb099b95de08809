import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { BackstayError } from '../../../src/errors/backstay-error.ts'
import {
  exitCodeOf,
  readErrorJson,
  renderErrorJson,
  renderErrorText,
} from '../../../src/errors/render.ts'

const cause = new Error('outer', { cause: new Error('password=s3cret refused') })
const error = new BackstayError('POSTGRES_AUTH', 'Cannot log in to "db1" with password=s3cret', {
  hint: 'Try postgres://a:s3cret@db1',
  details: {
    server: 'db1',
    url: 'postgres://a:s3cret@db1',
    lsn: 2n ** 60n,
    deep: [{ password: 's3cret' }],
  },
  cause,
})

suite('rendered error', () => {
  test('says what failed, because of what, and what to do', () => {
    assert.equal(
      renderErrorText(error),
      [
        'Error: Cannot log in to "db1" with password=***',
        '  because: outer',
        '  because: password=*** refused',
        'Hint: Try postgres://a:***@db1',
        '',
      ].join('\n'),
    )
  })

  test('is one object as JSON, positions as text', () => {
    assert.deepEqual(renderErrorJson(error), {
      error: {
        code: 'POSTGRES_AUTH',
        message: 'Cannot log in to "db1" with password=***',
        hint: 'Try postgres://a:***@db1',
        details: {
          server: 'db1',
          url: 'postgres://a:***@db1',
          lsn: '1152921504606846976',
          deep: [{ password: '***' }],
          causes: ['outer', 'password=*** refused'],
        },
      },
    })
  })

  test('a cause whose text is in the message already is not repeated', () => {
    const told = new BackstayError('FAILED', 'Cannot write: ENOSPC', { cause: new Error('ENOSPC') })
    assert.ok(!renderErrorText(told).includes('because'))
  })

  test('anything else is a bug, with its stack', () => {
    const text = renderErrorText(new TypeError('x is not a function'))
    assert.match(text, /This is a bug in Backstay[^]*TypeError: x is not a function\n\s+at /)
    assert.equal(renderErrorJson('odd').error.code, 'BUG')
    assert.equal(
      renderErrorJson(new TypeError('password=s3cret')).error.message.includes('s3cret'),
      false,
    )
  })

  test('is that of what failed first, where closing what was open failed as well', async () => {
    const closing = new BackstayError('STORE', 'Cannot delete "lock"')
    const fail = async (): Promise<void> => {
      await using _inner = { [Symbol.asyncDispose]: () => Promise.reject(closing) }
      await using _outer = { [Symbol.asyncDispose]: () => Promise.reject(closing) }
      throw error
    }
    const thrown: unknown = await fail().catch((caught: unknown) => caught)
    assert.notEqual(thrown, error)
    assert.equal(renderErrorText(thrown), renderErrorText(error))
    assert.deepEqual(renderErrorJson(thrown), renderErrorJson(error))
    assert.equal(exitCodeOf(thrown), 21)
  })

  test('decides the exit code', () => {
    assert.equal(exitCodeOf(error), 21)
    assert.equal(exitCodeOf(new Error('x')), 70)
    assert.equal(exitCodeOf(undefined), 70)
  })

  test('of a Backstay elsewhere is read back from what it said', () => {
    const said = `Warning: something\n${JSON.stringify(renderErrorJson(error))}\n`
    const read = readErrorJson(said)
    assert.equal(read?.code, 'POSTGRES_AUTH')
    assert.equal(read?.message, 'Cannot log in to "db1" with password=***')
    assert.equal(read?.hint, 'Try postgres://a:***@db1')
    assert.equal(read?.details['server'], 'db1')
    for (const none of [
      '',
      'Killed',
      '{"error":{"code":"NOSUCH","message":"x"}}',
      '{"error":{"code":"FAILED","message":{"toString":1},"hint":"h"}}',
      '{"error":',
    ]) {
      assert.equal(readErrorJson(none), undefined)
    }
  })
})
