/**
 * The list of library links of an embedded package.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hasMissingLibraries, parseLinks } from '../../../src/host/embedded-repair.ts'

test('links inside lib are taken, anything that points elsewhere is not', () => {
  const entry = (source: string, target: string): object => ({ source, target })
  const json = JSON.stringify([
    entry('native/lib/libpq.so.5.18', 'native/lib/libpq.so.5'),
    entry('native/lib/../../../etc/passwd', 'native/lib/x'),
    entry('native/lib/libpq.so.5.18', 'native/bin/postgres'),
    entry('native/lib/libpq.so.5.18', '/etc/x'),
  ])
  assert.deepEqual(parseLinks(json), [{ source: 'libpq.so.5.18', target: 'libpq.so.5' }])
})

test('a missing library is told from other problems', () => {
  assert.ok(hasMissingLibraries('postgres: error while loading shared libraries: libicuuc.so.60'))
  assert.ok(!hasMissingLibraries('permission denied'))
  assert.ok(!hasMissingLibraries(undefined))
})
