import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { redact } from '../../../src/errors/redact.ts'
import { formatConfLine } from '../../../src/postgres/conf-file.ts'
import { formatConninfo } from '../../../src/postgres/conninfo.ts'

/** Every text here holds a secret with this in it, or parts of it: none of them may survive. */
const MARK = /s3cret|hunter|tail/

suite('redaction', () => {
  for (const text of [
    'postgres://anna:s3cret@db1/shop',
    'postgresql://anna:s3c/ret:hunter@db1:5432/shop?sslmode=require',
    'postgresql://anna:s3cret@tail@db1/shop',
    'https://user:s3cret@host/x and ftp://u:hunter@h',
    'postgresql://db1/shop?user=anna&password=s3cret&sslmode=require',
    'host=db1 password=s3cret user=anna',
    'password = s3cret',
    "password='s3cret hunter' user=anna",
    String.raw`password='s3cret\'s tail' user=anna`,
    String.raw`password=s3cret\ tail user=anna`,
    'password=s3cret,tail;tail user=anna',
    "password='s3cret tail",
    String.raw`primary_conninfo = 'host=a password=''s3cret tail'' user=b'`,
    String.raw`primary_conninfo = 'host=a password=\'s3cret tail\' user=b'`,
    String.raw`primary_conninfo = 'host=a password=''it\\''s3cret tail'' user=b'`,
    'sslpassword=s3cret',
    'PGPASSWORD=s3cret psql',
    'BACKSTAY_PASSWORD=s3cret',
    'passwd=s3cret pass=hunter passphrase=tail',
    'host all all 10.0.0.0/8 ldap ldapbindpasswd="s3cret tail" ldapserver=x',
    'host all all 10.0.0.0/8 radius radiussecrets="s3cret","tail"',
    "ALTER ROLE anna PASSWORD 's3cret'",
    "ALTER ROLE anna ENCRYPTED PASSWORD E's3cret\\'tail'",
    "CREATE ROLE anna LOGIN password  's3cret''tail'",
    'ALTER ROLE anna PASSWORD $$s3cret$$',
    'ALTER ROLE anna PASSWORD $tag$s3cret$tail$tag$',
    '{"password":"s3cret","user":"anna"}',
    '{ "PGPASSWORD": "s3cret\\"tail" }',
    "{ password: 's3cret' }",
  ]) {
    test(`takes the secret out of ${text}`, () => {
      assert.doesNotMatch(redact(text), MARK)
      assert.match(redact(text), /\*\*\*/)
    })
  }

  test('verifiers are secrets too', () => {
    const scram = `SCRAM-SHA-256$4096:${'a'.repeat(22)}==$${'b'.repeat(43)}=:${'c'.repeat(43)}=`
    assert.equal(redact(`rolpassword ${scram} end`), 'rolpassword SCRAM-SHA-256$*** end')
    assert.equal(redact(`md5${'0123456789abcdef'.repeat(2)}`), 'md5***')
  })

  for (const text of [
    'Cannot connect to "db1": password authentication failed for user "anna"',
    'passfile=/home/anna/.pgpass host=db1',
    'Check password file and role.',
    'postgres://db1:5432/shop',
    'postgresql://anna@db1:5432/shop',
    'at 2026-11-22 08:30:00 on 10.0.0.1:5432, LSN 0/3000060',
    'password_encryption = scram-sha-256',
    'segment 000000010000000000000003',
    'host all all all md5',
  ]) {
    test(`leaves alone: ${text}`, () => assert.equal(redact(text), text))
  }

  test('twice is as once', () => {
    const text = "postgres://a:b@c password='d e' PASSWORD 'f'"
    assert.equal(redact(redact(text)), redact(text))
  })

  test('no password survives in a conninfo string, alone or as a setting', () => {
    const noise = fc.oneof(fc.string({ unit: 'grapheme' }), fc.stringMatching(/^['"\\ =,]{0,6}$/))
    const password = fc.tuple(noise, noise).map(([one, other]) => `${one}s3cret${other}tail`)
    fc.assert(
      fc.property(password, (secret) => {
        const conninfo = formatConninfo({ host: 'db1', password: secret, user: 'anna' })
        for (const text of [conninfo, formatConfLine('primary_conninfo', conninfo)]) {
          assert.doesNotMatch(redact(text), MARK)
        }
      }),
      { numRuns: 1000 },
    )
  })
})
