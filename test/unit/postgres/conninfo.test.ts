import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { formatConninfo, parseConninfo } from '../../../src/postgres/conninfo.ts'

suite('conninfo', () => {
  test('quotes, escapes and blanks around "=" are read as libpq reads them', () => {
    const text = String.raw`host=a  port = 5432 password='it\'s \\ me' dbname=a\ b user='' x=1`
    assert.deepEqual(parseConninfo(text), {
      host: 'a',
      port: '5432',
      password: String.raw`it's \ me`,
      dbname: 'a b',
      user: '',
      x: '1',
    })
  })

  test('an unquoted value may follow "=" after blanks, so an empty one swallows the next pair', () => {
    assert.deepEqual(parseConninfo('host= user=x'), { host: 'user=x' })
  })

  test('of a repeated keyword the last value counts', () => {
    assert.deepEqual(parseConninfo('host=a host=b'), { host: 'b' })
  })

  test('values that need it are quoted', () => {
    const values = {
      host: 'a',
      password: String.raw`it's \ me`,
      user: '',
      port: 5432,
      x: undefined,
    }
    assert.equal(
      formatConninfo(values),
      String.raw`host=a password='it\'s \\ me' user='' port=5432`,
    )
  })

  test('any values survive format and parse', () => {
    const key = fc.stringMatching(/^[a-z_]{1,10}$/)
    fc.assert(
      fc.property(fc.dictionary(key, fc.string({ unit: 'grapheme' })), (values) => {
        assert.deepEqual(parseConninfo(formatConninfo(values)), { ...values })
      }),
    )
  })

  for (const text of ['host', 'host=a user', "host='a", '=a', "password='a", 'my secret']) {
    test(`"${text}" is refused without repeating its content`, () => {
      assert.throws(
        () => parseConninfo(text),
        (error) =>
          isBackstayError(error, 'CONFIG_INVALID') &&
          !error.message.includes('secret') &&
          /character \d+$/.test(error.message),
      )
    })
  }
})

suite('conninfo address', () => {
  for (const [uri, expected] of [
    ['postgresql://', {}],
    ['postgres://localhost', { host: 'localhost' }],
    ['postgresql://u@h:5433/db', { user: 'u', host: 'h', port: '5433', dbname: 'db' }],
    ['postgresql://u:p%40w%2F@h', { user: 'u', password: 'p@w/', host: 'h' }],
    ['postgresql:///db?host=/run/x&port=1', { dbname: 'db', host: '/run/x', port: '1' }],
    ['postgresql://%2Fvar%2Frun/db', { host: '/var/run', dbname: 'db' }],
    ['postgresql://[2001:db8::1]:1/db', { host: '2001:db8::1', port: '1', dbname: 'db' }],
    ['postgresql://h1:1,h2/db', { host: 'h1,h2', port: '1,', dbname: 'db' }],
    ['postgresql://h/?ssl=true', { host: 'h', sslmode: 'require' }],
    ['postgresql://h?application_name=a%20b', { host: 'h', application_name: 'a b' }],
  ] as const) {
    test(`"${uri}" is read`, () => assert.deepEqual(parseConninfo(uri), expected))
  }

  for (const uri of [
    'postgresql://h/db?x',
    'postgresql://h/db?x=1=2',
    'postgresql://u:secret%GG@h/db',
    'postgresql://[::1/db',
    'postgresql://[::1]x/db',
  ]) {
    test(`"${uri}" is refused without repeating its content`, () => {
      assert.throws(
        () => parseConninfo(uri),
        (error) => isBackstayError(error, 'CONFIG_INVALID') && !error.message.includes('secret'),
      )
    })
  }
})
