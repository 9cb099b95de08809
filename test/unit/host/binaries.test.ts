/**
 * Reading what the probe printed, and choosing.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chooseBinaries } from '../../../src/host/binaries.ts'
import { type FoundBinaries, parseProbe } from '../../../src/host/binaries-probe.ts'

const REQUIRED = ' initdb pg_ctl postgres'

function record(...fields: [string, string, string, string, string]): string {
  return fields.map((field) => `${field}\0`).join('')
}

test('a probe is read whatever the version is called', () => {
  const versions: [string, string, number][] = [
    ['postgres (PostgreSQL) 18.4', '18.4', 18],
    ['postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)', '15.18', 15],
    ['postgres (PostgreSQL) 19beta2', '19beta2', 19],
    ['postgres (PostgreSQL) 19devel', '19devel', 19],
  ]
  for (const [text, version, major] of versions) {
    const [found] = parseProbe(record('debian', '/x', '0', text, REQUIRED))
    assert.deepEqual([found?.version, found?.major, found?.problem], [version, major, undefined])
  }
})

test('a postgres that does not run is kept with what it said', () => {
  const text = 'postgres: error while loading shared libraries: libicuuc.so.60: cannot open'
  const [found] = parseProbe(record('embedded', "/evil\ndir'", '127', text, REQUIRED))
  assert.deepEqual(
    [found?.directory, found?.version, found?.problem],
    ["/evil\ndir'", undefined, text],
  )
})

test('the first complete one of the major is chosen, with its tools', () => {
  const found: readonly FoundBinaries[] = parseProbe(
    record(
      'debian',
      '/usr/lib/postgresql/15/bin',
      '0',
      'postgres (PostgreSQL) 15.1',
      `${REQUIRED} pg_rewind psql`,
    ) +
      record(
        'debian',
        '/usr/lib/postgresql/17/bin',
        '0',
        'postgres (PostgreSQL) 17.1',
        ' postgres',
      ) +
      record('embedded', '/e17', '0', 'postgres (PostgreSQL) 17.2', REQUIRED),
  )
  assert.deepEqual(chooseBinaries(found, 15), {
    directory: '/usr/lib/postgresql/15/bin',
    major: 15,
    version: '15.1',
    source: 'debian',
    tools: {
      pgRewind: '/usr/lib/postgresql/15/bin/pg_rewind',
      psql: '/usr/lib/postgresql/15/bin/psql',
    },
  })
  assert.equal(chooseBinaries(found, 17)?.directory, '/e17')
  assert.equal(chooseBinaries(found, 18), undefined)
})
