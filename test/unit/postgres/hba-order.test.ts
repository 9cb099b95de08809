import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setHbaBlock } from '../../../src/postgres/hba-block.ts'
import { placeHbaBlock } from '../../../src/postgres/hba-order.ts'

const RULES = [
  'local all "postgres" peer',
  'host all "postgres" samehost scram-sha-256',
  'host replication "backstay_stream" 10.0.0.2/32 scram-sha-256',
]
const BLOCK = setHbaBlock('', RULES, 18)

describe('a line above our block', () => {
  for (const line of [
    'local all all reject',
    'host all all all reject',
    'host replication all 10.0.0.0/8 reject',
    'hostssl all all all cert',
    'host all +admins all reject',
    'host all @users all reject',
    'host "postgres" "postgres" 127.0.0.1/32 ident',
    'host all postgres 127.0.0.1/32 scram-sha-256 map=x',
    'include team.conf',
    'include_dir hba.d',
    'include_if_exists team.conf',
    'local all /^post reject',
  ]) {
    test(`is passed when it could shut us out: ${line}`, () => {
      const { content, obstacle } = placeHbaBlock(`# site\n${line}\n${BLOCK}`, RULES, 18)
      assert.equal(obstacle?.text, line)
      assert.equal(content, `${BLOCK}# site\n${line}\n`)
      assert.deepEqual(placeHbaBlock(content, RULES, 18), { content, obstacle: undefined })
    })
  }

  for (const line of [
    'local all all trust',
    'host all app 10.0.0.0/8 reject',
    'host replication other all reject',
    'host all all all md5',
    'local all "all" reject',
    'host all all all scram-sha-256',
  ]) {
    test(`stays where the operator wants it when it could not: ${line}`, () => {
      const text = `${line}\n${BLOCK}`
      assert.deepEqual(placeHbaBlock(text, RULES, 18), { content: text, obstacle: undefined })
    })
  }
})
