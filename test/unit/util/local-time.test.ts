import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { parseTimeUs } from '../../../src/restore/target-time.ts'
import { spellIsoTime, spellTime, spellTimeUs } from '../../../src/util/local-time.ts'

const AT = Date.parse('2026-11-22T22:30:05.250Z')

describe('a moment for people', () => {
  it('is in the zone wanted, with its offset', () => {
    assert.equal(spellTime(AT, 0), '2026-11-22 22:30:05+00')
    assert.equal(spellTime(AT, 120), '2026-11-23 00:30:05+02')
    assert.equal(spellTime(AT, -210), '2026-11-22 19:00:05-03:30')
  })

  it('keeps microseconds where there are some', () => {
    assert.equal(spellTimeUs(BigInt(AT) * 1000n + 7n, 330), '2026-11-23 04:00:05.250007+05:30')
    assert.equal(spellTimeUs(1_000_000n, 0), '1970-01-01 00:00:01+00')
  })

  it('can be typed again as a target', () => {
    const us = BigInt(AT) * 1000n + 7n
    for (const zone of [0, 120, -210, 330, 845]) {
      assert.equal(parseTimeUs(spellTimeUs(us, zone)), us)
    }
  })

  it('uses the zone of the process, as it was at that time', () => {
    const script = `import('${new URL('../../../src/util/local-time.ts', import.meta.url).href}').then(
      ({ spellIsoTime }) => console.log(spellIsoTime('2026-07-01T10:00:00Z'), spellIsoTime('2026-12-01T10:00:00Z')))`
    const env = { ...process.env, TZ: 'Europe/Berlin' }
    const out = execFileSync(process.execPath, ['-e', script], { env, encoding: 'utf8' })
    assert.equal(out.trim(), '2026-07-01 12:00:00+02 2026-12-01 11:00:00+01')
  })

  it('leaves what is no moment as it is', () => {
    assert.equal(spellIsoTime('never'), 'never')
  })
})
