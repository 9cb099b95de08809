import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { baseBackupCommand } from '../../../src/wire/base-backup-command.ts'

describe('BASE_BACKUP command', () => {
  it('is words up to 14', () => {
    const common =
      "BASE_BACKUP LABEL 'backstay' PROGRESS FAST NOWAIT TABLESPACE_MAP NOVERIFY_CHECKSUMS"
    assert.equal(baseBackupCommand({}, 11), common)
    assert.equal(baseBackupCommand({}, 14), `${common} MANIFEST 'yes' MANIFEST_CHECKSUMS 'CRC32C'`)
  })

  it('is options in parentheses from 15', () => {
    assert.equal(
      baseBackupCommand({}, 15),
      "BASE_BACKUP (LABEL 'backstay', PROGRESS, CHECKPOINT 'fast', WAL false, WAIT false, " +
        "TABLESPACE_MAP, VERIFY_CHECKSUMS false, MANIFEST 'yes', MANIFEST_CHECKSUMS 'CRC32C')",
    )
  })

  it('says everything that can be asked for in both spellings', () => {
    const options = {
      label: "it's",
      checkpoint: 'spread',
      progress: false,
      includeWal: true,
      waitForArchive: true,
      maxRateBytes: 10 * 1024 * 1024,
      tablespaceMap: false,
      verifyChecksums: true,
      manifestChecksums: 'SHA256',
    } as const
    assert.equal(
      baseBackupCommand(options, 13),
      "BASE_BACKUP LABEL 'it''s' WAL MAX_RATE 10240 MANIFEST 'yes' MANIFEST_CHECKSUMS 'SHA256'",
    )
    assert.equal(
      baseBackupCommand({ ...options, incremental: true }, 17),
      "BASE_BACKUP (LABEL 'it''s', CHECKPOINT 'spread', WAL true, WAIT true, MAX_RATE 10240, " +
        "VERIFY_CHECKSUMS true, MANIFEST 'yes', MANIFEST_CHECKSUMS 'SHA256', INCREMENTAL)",
    )
  })

  it('asks for no manifest when none is wanted', () => {
    assert.ok(!baseBackupCommand({ manifest: false }, 18).includes('MANIFEST'))
  })

  it('refuses a rate that the server would refuse', () => {
    for (const maxRateBytes of [1000, 2 * 1024 ** 3]) {
      assert.throws(() => baseBackupCommand({ maxRateBytes }, 18), { code: 'CONFIG_INVALID' })
    }
  })

  it('refuses an incremental backup before 17', () => {
    assert.throws(() => baseBackupCommand({ incremental: true }, 16), { code: 'POSTGRES_VERSION' })
  })

  it('refuses a label with a zero byte', () => {
    assert.throws(() => baseBackupCommand({ label: 'a\0b' }, 18), { code: 'CONFIG_INVALID' })
  })
})
