import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { layOut, tablespaceMappingOf } from '../../../src/restore/layout.ts'

const SPACES = [
  { oid: 16_384, location: '/srv/fast' },
  { oid: 16_385, location: '/srv/slow:disk' },
]

const isUsage = (error: unknown): boolean => isBackstayError(error, 'USAGE')

test('tablespaces go where they were, or where the mapping says by oid or old directory', () => {
  const mapping = tablespaceMappingOf(['16384:/new/fast/', '/srv/slow:disk:/new/slow'])
  assert.deepEqual(layOut('/data/', SPACES, mapping), {
    directory: '/data',
    tablespaces: [
      { oid: 16_384, location: '/srv/fast', directory: '/new/fast' },
      { oid: 16_385, location: '/srv/slow:disk', directory: '/new/slow' },
    ],
  })
  assert.equal(layOut('/data', SPACES, new Map()).tablespaces[0]?.directory, '/srv/fast')
})

test('places inside each other, unknown tablespaces and relative paths are refused', () => {
  const at = (from: string, to: string): Map<string, string> => new Map([[from, to]])
  assert.throws(() => layOut('/data', SPACES, at('16384', '/data/pg_tblspc/x')), isUsage)
  assert.throws(() => layOut('/srv/fast/data', SPACES, new Map()), isUsage)
  assert.throws(() => layOut('/data', SPACES, at('16384', '/srv/slow:disk')), isUsage)
  assert.throws(() => layOut('/data', SPACES, at('99', '/x')), isUsage)
  assert.throws(() => layOut('data', [], new Map()), isUsage)
  assert.throws(() => layOut('/', [], new Map()), isUsage)
  assert.throws(() => layOut('/data/..', [], new Map()), isUsage)
  for (const option of ['x', ':x', 'x:'])
    assert.throws(() => tablespaceMappingOf([option]), isUsage)
})
