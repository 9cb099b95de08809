import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { formatTimeUs, hasZone, isoTimeUs, parseTimeUs } from '../../../src/restore/target-time.ts'

test('every spelling of one moment is the same moment, to the microsecond', () => {
  const spellings = [
    '2026-11-22 10:00:00.123456+00',
    '2026-11-22 12:00:00.123456+02',
    '2026-11-22 15:30:00.123456 +0530',
    '2026-11-22T10:00:00.123456Z',
    '2026-11-22T02:00:00,123456-08:00',
    ' 2026-11-22 10:00:00.123456789 UTC ',
  ]
  for (const text of spellings) assert.equal(parseTimeUs(text), 1_795_341_600_123_456n, text)
  assert.equal(parseTimeUs('2026-11-22 10:00Z'), 1_795_341_600_000_000n)
  assert.equal(parseTimeUs('2026-11-22Z'), 1_795_305_600_000_000n)
})

test('what is no moment is not read', () => {
  const wrong = [
    '',
    'yesterday',
    '2026-13-01 00:00Z',
    '2026-02-30 00:00Z',
    '2026-11-22 25:00Z',
    '2026-11-22 10:00:00 CET',
    '10:00',
    '1795341600',
  ]
  for (const text of wrong) assert.equal(parseTimeUs(text), undefined, text)
})

test('a moment without zone is local time, and known to be so', () => {
  const local = BigInt(new Date(2026, 10, 22, 10, 0, 0).getTime()) * 1000n
  assert.equal(parseTimeUs('2026-11-22 10:00:00'), local)
  assert.equal(hasZone('2026-11-22 10:00:00'), false)
  assert.equal(hasZone('2026-11-22 10:00:00+00'), true)
  assert.equal(hasZone('2026-11-22T10:00:00Z'), true)
})

test('a moment that is written is read back', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 4_102_444_800_000_000n }), (timeUs) => {
      assert.equal(parseTimeUs(formatTimeUs(timeUs)), timeUs)
      assert.equal(parseTimeUs(isoTimeUs(timeUs)), timeUs)
    }),
  )
  assert.equal(formatTimeUs(1_795_341_600_000_000n), '2026-11-22 10:00:00+00')
  assert.equal(formatTimeUs(-1n), '1969-12-31 23:59:59.999999+00')
})
