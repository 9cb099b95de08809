/**
 * What a server says of itself before anybody knows who it is.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { heardSenders, heardServer, heardSettings } from '../../../../src/build/adopt/heard.ts'
import { isBackstayError } from '../../../../src/errors/backstay-error.ts'

const SERVER = {
  inRecovery: false,
  systemIdentifier: '7123456789',
  versionNumber: 180000,
  isSuperuser: true,
  isConninfoOverridden: false,
}

function refuses(hear: () => unknown, what: unknown): void {
  assert.throws(hear, (error) => isBackstayError(error, 'POSTGRES_PROTOCOL'), JSON.stringify(what))
}

test('a server is what one can be, and nothing else of it is kept', () => {
  assert.deepEqual(heardServer({ ...SERVER, more: 1 }, 'db1:5432'), SERVER)
  const lies = [
    { systemIdentifier: null },
    { systemIdentifier: { a: 1 } },
    { systemIdentifier: '9'.repeat(1000) },
    { versionNumber: 'abc' },
    { versionNumber: Number.NaN },
    { inRecovery: 'maybe' },
    { isSuperuser: 't' },
    { isConninfoOverridden: undefined },
  ]
  for (const lie of lies) refuses(() => heardServer({ ...SERVER, ...lie }, 'db1:5432'), lie)
})

test('settings are texts', () => {
  const rows = [
    { name: 'a', value: '1' },
    { name: 'b', value: null },
  ]
  assert.deepEqual(
    [...heardSettings(rows, 'db1')],
    [
      ['a', '1'],
      ['b', ''],
    ],
  )
  for (const row of [{ name: 'a', value: {} }, { name: 'a', value: 5 }, { value: 'x' }]) {
    refuses(() => heardSettings([row], 'db1'), row)
  }
})

test('who receives WAL is at an address, and there are not hundreds', () => {
  const rows = [
    { host: '10.0.0.2', name: 'db2' },
    { host: null, name: '' },
  ]
  assert.deepEqual(heardSenders(rows, 'db1'), rows)
  for (const host of ['/tmp/socket', '-oProxyCommand=x', 'db2', {}, undefined]) {
    refuses(() => heardSenders([{ host, name: 'db2' }], 'db1'), host)
  }
  refuses(() => heardSenders([{ host: '::1', name: null }], 'db1'), 'no name')
  refuses(
    () =>
      heardSenders(
        Array.from({ length: 65 }, () => rows[0] ?? {}),
        'db1',
      ),
    65,
  )
})
