/**
 * The command line of initdb.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PostgresMajor } from '../../../src/postgres/version.ts'
import { initdbCommand } from '../../../src/host/initdb.ts'

function command(major: PostgresMajor, checksums: boolean): readonly string[] {
  const binaries = {
    directory: '/b',
    major,
    version: `${major}.0`,
    source: 'debian',
    tools: {},
  } as const
  return initdbCommand(
    { binaries, directory: '/d' },
    {
      superuser: 'postgres',
      encoding: 'UTF8',
      locale: 'C',
      checksums,
      segmentBytes: 64 * 1024 * 1024,
      authentication: 'scram-sha-256',
    },
  )
}

test('checksums are said in the words of the version', () => {
  assert.ok(command(11, true).includes('--data-checksums'))
  assert.ok(!command(17, false).some((word) => word.includes('checksums')))
  assert.ok(command(18, false).includes('--no-data-checksums'))
})

test('segments are given in megabytes and the password never in argv', () => {
  assert.ok(command(18, true).includes('--wal-segsize=64'))
  assert.ok(command(18, true).includes('--pwfile=/dev/stdin'))
})
