import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  isSupportedMajor,
  majorOfVersionNumber,
  SUPPORTED_MAJORS,
  versionFacts,
} from '../../../src/postgres/version.ts'

suite('version', () => {
  test('11 to 18 are supported', () => {
    assert.deepEqual([...SUPPORTED_MAJORS], [11, 12, 13, 14, 15, 16, 17, 18])
    assert.equal(isSupportedMajor(10), false)
    assert.equal(isSupportedMajor(18), true)
    assert.equal(isSupportedMajor(19), false)
  })

  test('server_version_num names the major', () => {
    assert.equal(majorOfVersionNumber(110022), 11)
    assert.equal(majorOfVersionNumber(180004), 18)
  })

  test('a fact that became true stays true in later majors', () => {
    const growing = [
      'maxSlotWalKeepSize',
      'conninfoReloads',
      'backupManifest',
      'baseBackupParentheses',
      'incrementalBackup',
      'scramByDefault',
      'pgPromote',
      'checksumsByDefault',
    ] as const
    for (const fact of growing) {
      const values = SUPPORTED_MAJORS.map((major) => versionFacts(major)[fact])
      assert.ok(values.lastIndexOf(false) < values.indexOf(true), fact)
    }
  })

  test('recovery.conf ends with 11, wal_keep_segments with 12', () => {
    assert.equal(versionFacts(11).recoveryConf, true)
    assert.equal(versionFacts(12).recoveryConf, false)
    assert.equal(versionFacts(12).walKeepSetting, 'wal_keep_segments')
    assert.equal(versionFacts(13).walKeepSetting, 'wal_keep_size')
  })
})
