import assert from 'node:assert/strict'
import { test } from 'node:test'
import { joinDamage } from '../../../src/backup/known-damage.ts'

const PROVED_WAL = { isProved: true, isOnlyWal: true, because: 'its WAL' }
const DOUBTED_PAGES = { isProved: false, isOnlyWal: false, because: 'a pack of another backup' }

test('damaged WAL does not hide that pages may be damaged as well', () => {
  for (const order of [
    [PROVED_WAL, DOUBTED_PAGES],
    [DOUBTED_PAGES, PROVED_WAL],
  ]) {
    assert.deepEqual(joinDamage(order), { ...PROVED_WAL, isOnlyWal: false })
  }
})

test('what is known alone stays as it is, and nothing is nothing', () => {
  assert.deepEqual(joinDamage([undefined, PROVED_WAL]), PROVED_WAL)
  assert.deepEqual(joinDamage([DOUBTED_PAGES]), DOUBTED_PAGES)
  assert.equal(joinDamage([undefined]), undefined)
})
