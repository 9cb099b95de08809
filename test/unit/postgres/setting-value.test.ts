import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  parseSettingBoolean,
  parseSettingNumber,
  sameSettingValue,
} from '../../../src/postgres/setting-value.ts'

const pages = { vartype: 'integer', unit: '8kB' }
const kB = { vartype: 'integer', unit: 'kB' }
const MB = { vartype: 'integer', unit: 'MB' }
const seconds = { vartype: 'integer', unit: 's' }
const realMs = { vartype: 'real', unit: 'ms' }
const plain = { vartype: 'integer', unit: null }
const real = { vartype: 'real' }
const boolean = { vartype: 'bool' }
const word = { vartype: 'enum' }
const string = { vartype: 'string' }

suite('setting value', () => {
  for (const [one, other, type] of [
    ['128MB', '16384', pages],
    ['128MB', '131072kB', pages],
    ['1GB', '1024', MB],
    ['4MB', '4096', kB],
    [' 4 MB ', '4096', kB],
    ['1.5GB', '1536MB', MB],
    ['5min', '300', seconds],
    ['1d', '24h', seconds],
    ['1500ms', '2', seconds],
    ['2ms', '2', realMs],
    ['0.5', '.50', real],
    ['1e3', '1000', real],
    ['0x10', '16', plain],
    ['0700', '448', plain],
    ['-1', '-1', plain],
    ['on', 'TRUE', boolean],
    ['1', 'y', boolean],
    ['of', 'no', boolean],
    ['REPLICA', 'replica', word],
    ['hot_standby', 'replica', word],
    ['on', 'true', word],
    ['a', 'a', string],
  ] as const) {
    test(`"${one}" is "${other}" (${type.vartype})`, () => {
      assert.equal(sameSettingValue(one, other, type), true)
      assert.equal(sameSettingValue(other, one, type), true)
    })
  }

  for (const [one, other, type] of [
    ['128MB', '128', pages],
    ['1GB', '1', MB],
    ['128mb', '128MB', pages],
    ['1s', '1', { vartype: 'integer', unit: 'min' }],
    ['10', '010', plain],
    ['on', 'off', boolean],
    ['o', 'on', boolean],
    ['minimal', 'replica', word],
    ['A', 'a', string],
    ['x', 'y', plain],
    ['1kB', '1', plain],
  ] as const) {
    test(`"${one}" is not "${other}" (${type.vartype})`, () => {
      assert.equal(sameSettingValue(one, other, type), false)
    })
  }

  test('a fraction is rounded to the next smaller unit first, then to the setting’s', () => {
    assert.equal(parseSettingNumber('30.1GB', MB), 30822)
    assert.equal(parseSettingNumber('0.5kB', kB), 0)
    assert.equal(parseSettingNumber('1.5kB', kB), 2)
  })

  test('what is no boolean is none', () => {
    for (const text of ['', 'o', '2', 'truex', 'ja'])
      assert.equal(parseSettingBoolean(text), undefined)
  })
})
