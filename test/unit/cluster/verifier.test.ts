/**
 * Password verifiers and the statements that set roles.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { rolesWanted } from '../../../src/cluster/wanted-roles.ts'
import { judgeVerifier, makeVerifier } from '../../../src/cluster/state/verifier.ts'
import { roleStatements } from '../../../src/build/steps/roles.ts'
import { healthy, wish } from './builders.ts'

const credential = { role: 'backstay', password: 'correct horse' }

describe('a verifier', () => {
  test('is judged ours only by its own password, in either method', () => {
    for (const method of ['scram-sha-256', 'md5'] as const) {
      const stored = makeVerifier(credential, method)
      assert.deepEqual(judgeVerifier(stored, credential), { password: 'ours', method })
      const other = { ...credential, password: 'battery staple' }
      assert.deepEqual(judgeVerifier(stored, other), { password: 'other', method })
      assert.deepEqual(judgeVerifier(stored, undefined), { password: 'other', method })
    }
  })

  test('never holds the password, and has a salt of its own', () => {
    const stored = makeVerifier(credential, 'scram-sha-256')
    assert.ok(!stored.includes(credential.password))
    assert.notEqual(makeVerifier(credential, 'scram-sha-256'), stored)
  })

  test('that PostgreSQL 15 stored is recognised', () => {
    const scram =
      'SCRAM-SHA-256$4096:HtWTJEj2l1c1ZyBPkh0DfA==$EtPxRf5CIMC9O7UXQCR5SOD0yCNDjvCs790lRE0z9QI=:SeGLfTLzcWMmH/2/Z+tDwOEd72+wua7AZ78ycOqIK30='
    assert.equal(judgeVerifier(scram, { role: 'foo', password: 'foobar' }).password, 'ours')
    const md5 = 'md5aa65a413921163458c52fea478d5d3ee'
    assert.equal(judgeVerifier(md5, { role: 'bar', password: 'foobar' }).password, 'ours')
    assert.equal(judgeVerifier(md5, { role: 'foo', password: 'foobar' }).password, 'other')
  })

  test('of no password is none', () => {
    assert.deepEqual(judgeVerifier(null, credential), { password: 'none', method: 'none' })
  })
})

describe('role statements', () => {
  const [, backup] = rolesWanted(wish())
  const secret = { password: 'secret', method: 'scram-sha-256' } as const

  test('create a role with everything, and never with the password itself', () => {
    assert.ok(backup !== undefined)
    const statements = roleStatements(backup, undefined, secret)
    assert.match(
      statements[0] ?? '',
      /^CREATE ROLE "backstay_backup" LOGIN REPLICATION CONNECTION LIMIT -1 PASSWORD 'SCRAM-SHA-256\$4096:/,
    )
    assert.ok(statements.includes('GRANT "pg_monitor" TO "backstay_backup"'))
    assert.ok(
      statements.includes(
        'GRANT EXECUTE ON FUNCTION pg_catalog.pg_backup_stop(boolean) TO "backstay_backup"',
      ),
    )
    assert.doesNotMatch(statements.join(), /secret/)
  })

  test('add only what is missing, and keep a password that is right', () => {
    assert.ok(backup !== undefined)
    const found = healthy(wish()).servers[0]?.sql?.roles.find(({ name }) => name === backup.name)
    assert.ok(found !== undefined)
    assert.deepEqual(roleStatements(backup, { ...found, memberOf: ['pg_monitor'] }, secret), [
      'ALTER ROLE "backstay_backup" LOGIN REPLICATION CONNECTION LIMIT -1',
      'GRANT "pg_checkpoint" TO "backstay_backup"',
    ])
  })
})
