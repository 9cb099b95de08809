import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { INVALID_LSN, parseLsn } from '../../../src/postgres/lsn.ts'
import { isNewPage, readPageHeader } from '../../../src/postgres/page.ts'
import { GOLDENS, unpack } from '../../fixtures/postgres/golden.ts'

suite('page header', () => {
  for (const golden of GOLDENS) {
    test(`of PostgreSQL ${golden.major} is read`, () => {
      const header = readPageHeader(unpack(golden.pages), 8192)
      assert.ok(header.lsn > INVALID_LSN)
      assert.ok(header.lsn < (parseLsn(golden.wal.endLsn) ?? assert.fail()))
      assert.equal(header.pageBytes, 8192)
      assert.equal(header.layoutVersion, 4)
      assert.equal(header.special, 8192)
      assert.ok(24 < header.lower && header.lower <= header.upper && header.upper < 8192)
      assert.equal(isNewPage(header), false)
    })
  }

  test('the high half of the LSN comes first', () => {
    const bytes = Buffer.alloc(24)
    bytes.writeUInt32LE(0x16, 0)
    bytes.writeUInt32LE(0xb374d848, 4)
    assert.equal(readPageHeader(bytes).lsn, parseLsn('16/B374D848'))
  })

  test('zeros are a new page', () => {
    assert.equal(isNewPage(readPageHeader(Buffer.alloc(8192))), true)
  })

  test('fewer bytes than a header are an error', () => {
    assert.throws(() => readPageHeader(Buffer.alloc(8192), 8180), RangeError)
  })
})
