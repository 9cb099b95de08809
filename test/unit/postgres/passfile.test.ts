import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import {
  formatPassfileLine,
  lookupPassword,
  removePassfileLine,
  upsertPassfileLine,
} from '../../../src/postgres/passfile.ts'

const connection = { host: 'db1', port: 5432, database: 'shop', user: 'anna' }
const word = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !/[\r\n\0]/.test(text))

suite('password file lookup', () => {
  test('the first line that matches wins', () => {
    const file = 'db1:5432:shop:anna:first\ndb1:5432:shop:anna:second\n'
    assert.equal(lookupPassword(file, connection), 'first')
  })

  test('each field may be a wildcard', () => {
    assert.equal(lookupPassword('*:*:*:*:any', connection), 'any')
    assert.equal(lookupPassword('*:5432:*:anna:some', connection), 'some')
    assert.equal(lookupPassword('*:5433:*:*:other', connection), undefined)
  })

  test('a star with company, or escaped, is an ordinary character', () => {
    assert.equal(lookupPassword('db*:*:*:*:x', connection), undefined)
    assert.equal(lookupPassword(String.raw`\*:*:*:*:x`, connection), undefined)
    assert.equal(lookupPassword(String.raw`\*:*:*:*:x`, { ...connection, host: '*' }), 'x')
  })

  test('colons and backslashes are escaped in every field', () => {
    const file = String.raw`fe80\:\:1:5432:a\\b:u:p\:w\\d`
    const wanted = { host: 'fe80::1', port: 5432, database: String.raw`a\b`, user: 'u' }
    assert.equal(lookupPassword(file, wanted), String.raw`p:w\d`)
  })

  test('comments, short lines and line ends of Windows are understood', () => {
    const file = '#db1:5432:shop:anna:no\r\ndb1:5432:shop:no\r\ndb1:5432:shop:anna:yes\r\n'
    assert.equal(lookupPassword(file, connection), 'yes')
  })

  test('an empty password is found as such', () => {
    assert.equal(lookupPassword('*:*:*:*:', connection), '')
  })

  test('the default socket directories and the empty host are looked up as localhost', () => {
    for (const host of ['', '/tmp', '/var/run/postgresql']) {
      assert.equal(lookupPassword('localhost:*:*:*:x', { ...connection, host }), 'x')
    }
    assert.equal(lookupPassword('localhost:*:*:*:x', { ...connection, host: '/srv/s' }), undefined)
    assert.equal(lookupPassword('/srv/s:*:*:*:x', { ...connection, host: '/srv/s' }), 'x')
  })

  test('any line is found again by what it is for', () => {
    fc.assert(
      fc.property(word, fc.nat(65535), word, word, word, (host, port, database, user, password) => {
        const line = formatPassfileLine({ host, port, database, user, password })
        assert.equal(lookupPassword(line, { host, port, database, user }), password)
      }),
    )
  })
})

suite('password file edit', () => {
  const entry = { ...connection, password: 'new' }

  test('a line of the same key is replaced in place, foreign lines stay', () => {
    const file = '# mine\nother:1:a:b:c\n\ndb1:5432:shop:anna:old\nlast:1:a:b:c\r\n'
    assert.equal(
      upsertPassfileLine(file, entry),
      '# mine\nother:1:a:b:c\n\ndb1:5432:shop:anna:new\nlast:1:a:b:c\r\n',
    )
  })

  test('a new line goes to the end, an unfinished last line is finished', () => {
    assert.equal(upsertPassfileLine('x:1:a:b:c', entry), 'x:1:a:b:c\ndb1:5432:shop:anna:new\n')
    assert.equal(upsertPassfileLine('', entry), 'db1:5432:shop:anna:new\n')
  })

  test('a new line goes before a wildcard that would win over it', () => {
    assert.equal(
      upsertPassfileLine('x:1:a:b:c\n*:*:*:*:all\n', entry),
      'x:1:a:b:c\ndb1:5432:shop:anna:new\n*:*:*:*:all\n',
    )
  })

  test('duplicates of the key go', () => {
    const file = 'db1:5432:shop:anna:1\nx:1:a:b:c\ndb1:5432:shop:anna:2\n'
    assert.equal(upsertPassfileLine(file, entry), 'db1:5432:shop:anna:new\nx:1:a:b:c\n')
  })

  test('whatever the file holds, the entry is found afterwards, and twice is as once', () => {
    const line = fc.oneof(
      fc.constantFrom('*:*:*:*:all', 'db1:*:*:anna:a', '# note', '', 'db1:5432:shop:anna:old'),
      fc.string(),
    )
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        const once = upsertPassfileLine(lines.join('\n'), entry)
        assert.equal(lookupPassword(once, connection), 'new')
        assert.equal(upsertPassfileLine(once, entry), once)
      }),
    )
  })

  test('removing takes only the lines of the key', () => {
    const file = 'x:1:a:b:c\ndb1:5432:shop:anna:1\n*:*:*:*:all'
    assert.equal(removePassfileLine(file, connection), 'x:1:a:b:c\n*:*:*:*:all\n')
    assert.equal(removePassfileLine('x:1:a:b:c', connection), 'x:1:a:b:c')
  })

  test('a password of several lines is refused and not repeated', () => {
    assert.throws(
      () => formatPassfileLine({ ...connection, password: 'one\nsecret' }),
      (error) => isBackstayError(error, 'CONFIG_INVALID') && !error.message.includes('secret'),
    )
  })
})
