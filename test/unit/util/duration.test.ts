import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { formatDuration, parseDuration } from '../../../src/util/duration.ts'

suite('duration', () => {
  for (const [text, ms] of [
    ['250ms', 250],
    ['90s', 90_000],
    ['1.5 h', 5_400_000],
    ['15m', 900_000],
    ['15min', 900_000],
    [' 2h ', 7_200_000],
    ['14d', 1_209_600_000],
    ['2w', 1_209_600_000],
    ['0s', 0],
  ] as const) {
    test(`"${text}" is ${ms} ms`, () => assert.equal(parseDuration(text), ms))
  }

  for (const text of ['', '5', 's', '-1s', '1 s s', '5S', '1y', '1h30m', '.5s', 'constructor']) {
    test(`"${text}" is none`, () => assert.equal(parseDuration(text), undefined))
  }

  for (const [ms, text] of [
    [0, '0.0 s'],
    [432, '0.4 s'],
    [9949, '9.9 s'],
    [12_400, '12 s'],
    [59_400, '59 s'],
    [60_000, '1 min'],
    [200_000, '3 min 20 s'],
    [7_500_000, '2 h 5 min'],
    [7_200_000, '2 h'],
    [356_400_000, '4 d 3 h'],
  ] as const) {
    test(`${ms} ms are told as "${text}"`, () => assert.equal(formatDuration(ms), text))
  }

  test('what rounds up to the next unit is told in it', () => {
    assert.equal(formatDuration(9_960), '10 s')
    assert.equal(formatDuration(59_700), '1 min')
  })
})
