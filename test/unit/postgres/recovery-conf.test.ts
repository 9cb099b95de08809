import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { formatRecoveryConf, parseRecoveryConf } from '../../../src/postgres/recovery-conf.ts'

suite('recovery.conf', () => {
  test('is written sorted, without what is undefined, and read back', () => {
    const text = formatRecoveryConf({
      standby_mode: 'on',
      primary_conninfo: String.raw`host=a password='it\'s'`,
      recovery_target_time: undefined,
    })
    assert.match(text, /^# Managed by Backstay; do not edit\.\nprimary_conninfo = '/)
    assert.deepEqual(
      [...parseRecoveryConf(text)],
      [
        ['primary_conninfo', String.raw`host=a password='it\'s'`],
        ['standby_mode', 'on'],
      ],
    )
  })

  test('a name that would stop the server is a bug of the caller', () => {
    assert.throws(
      () => formatRecoveryConf({ wal_level: 'replica' }),
      (error) => isBackstayError(error, 'BUG') && error.message.includes('wal_level'),
    )
  })
})
