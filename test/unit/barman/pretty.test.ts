/**
 * Barman's words for sizes, spans, intervals and JSON.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clusterNameOf } from '../../../src/barman/server/barman-place.ts'
import { prettySize, prettySpan } from '../../../src/barman/output/pretty.ts'
import { renderPythonJson } from '../../../src/barman/output/python-json.ts'
import {
  parseAmount,
  parseBoolean,
  parseInterval,
  parseRetention,
} from '../../../src/config/barman/values.ts'

test('sizes and spans are Barman’s', () => {
  assert.deepEqual([0, 1023, 33_023, 23_146_110, -144, 2 ** 60, 2 ** 73].map(prettySize), [
    '0 B',
    '1023 B',
    '32.2 KiB',
    '22.1 MiB',
    '-144 B',
    '1.0 EiB',
    '8.0 ZiB',
  ])
  assert.deepEqual([500, 3183, 549_000, 93_784_000].map(prettySpan), [
    'less than one second',
    '3 seconds',
    '9 minutes, 9 seconds',
    '1 day, 2 hours, 3 minutes, 4 seconds',
  ])
})

test('JSON has Python’s spaces, sorted keys and ASCII', () => {
  assert.equal(
    renderPythonJson({ b: [1, null, true], a: 'ü"' }),
    String.raw`{"a": "\u00fc\"", "b": [1, null, true]}`,
  )
})

test('values of options are read as documented, and nothing else is', () => {
  assert.deepEqual(['ON', 't', '0', 'off', 'maybe'].map(parseBoolean), [
    true,
    true,
    false,
    false,
    undefined,
  ])
  assert.equal(parseInterval('2 MONTHS')?.ms, 62 * 86_400_000)
  assert.equal(parseInterval('2'), undefined)
  assert.deepEqual(['10', '1k', '1Ki', '1 X'].map(parseAmount), [10, 1000, 1024, undefined])
  assert.equal(parseRetention('redundancy 3')?.text, 'REDUNDANCY 3')
  assert.equal(parseRetention('recovery window of 1 week')?.kind, 'window')
  assert.equal(parseRetention('RECOVERY WINDOW OF 4 HOURS'), undefined)
  assert.equal(parseRetention('REDUNDANCY 0'), undefined)
})

test('a section’s name becomes a cluster’s; two names never the same', () => {
  assert.equal(clusterNameOf('192.168.100.10'), '192.168.100.10')
  const [one, other] = [clusterNameOf('my server'), clusterNameOf('my/server')]
  assert.match(one, /^smy-server-[0-9a-f]{16}$/)
  assert.notEqual(one, other)
})
