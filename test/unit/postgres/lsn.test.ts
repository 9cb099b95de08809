import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import {
  addBytes,
  bytesBetween,
  formatLsn,
  INVALID_LSN,
  parseLsn,
  toLsn,
} from '../../../src/postgres/lsn.ts'

const anyLsn = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }).map(toLsn)

suite('LSN', () => {
  test('is written as PostgreSQL writes it', () => {
    assert.equal(formatLsn(toLsn(0x16_b374_d848n)), '16/B374D848')
    assert.equal(formatLsn(INVALID_LSN), '0/0')
    assert.equal(formatLsn(toLsn(0x1_0000_0001n)), '1/1')
  })

  test('any position survives format and parse', () => {
    fc.assert(fc.property(anyLsn, (lsn) => parseLsn(formatLsn(lsn)) === lsn))
  })

  test('lower case and surrounding blanks are read', () => {
    assert.equal(parseLsn(' a/b0 \n'), toLsn(0xa_0000_00b0n))
  })

  for (const text of ['', '0', '/', '0/', '/0', '0/123456789', 'g/0', '0/0/0', '0x0/0']) {
    test(`"${text}" is no LSN`, () => assert.equal(parseLsn(text), undefined))
  }

  test('distance and movement agree', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 2n ** 32n, max: 2n ** 50n }), fc.integer(), (base, bytes) => {
        const from = toLsn(base)
        return bytesBetween(from, addBytes(from, bytes)) === bytes
      }),
    )
  })
})
