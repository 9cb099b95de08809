import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { storeAt } from '../../../src/store/address.ts'

test('an absolute path is a store in a directory; anything else is refused and named', () => {
  assert.equal(storeAt('/srv/backstay').location, '/srv/backstay')
  for (const address of ['', 'backstay', 's3://bucket/prefix', './here']) {
    assert.throws(
      () => storeAt(address),
      (error) =>
        isBackstayError(error, 'CONFIG_INVALID') && error.message.includes(JSON.stringify(address)),
    )
  }
})
