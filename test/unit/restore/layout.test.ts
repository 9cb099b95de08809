import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { layOut, tablespaceMappingOf } from '../../../src/restore/layout.ts'

const SPACES = [
  { oid: 16_384, location: '/srv/fast' },
  { oid: 16_385, location: '/srv/slow:disk' },
]

const wished = (
  mapping: ReadonlyMap<string, string> = new Map(),
  roots: string[] | 'any' = 'any',
) => ({
  mapping,
  roots,
})
const isUsage = (error: unknown): boolean => isBackstayError(error, 'USAGE')

test('tablespaces go where they were, or where the mapping says by oid or old directory', () => {
  const mapping = tablespaceMappingOf(['16384:/new/fast/', '/srv/slow:disk:/new/slow'])
  assert.deepEqual(layOut('/data/', SPACES, wished(mapping)), {
    inside: [],
    directory: '/data',
    tablespaces: [
      { oid: 16_384, location: '/srv/fast', directory: '/new/fast', isNamed: true },
      { oid: 16_385, location: '/srv/slow:disk', directory: '/new/slow', isNamed: true },
    ],
  })
  assert.equal(layOut('/data', SPACES, wished()).tablespaces[0]?.directory, '/srv/fast')
})

test('places inside each other, unknown tablespaces and relative paths are refused', () => {
  const at = (from: string, to: string): Map<string, string> => new Map([[from, to]])
  assert.throws(() => layOut('/data', SPACES, wished(at('16384', '/data/pg_tblspc/x'))), isUsage)
  assert.throws(() => layOut('/srv/fast/data', SPACES, wished()), isUsage)
  assert.throws(() => layOut('/data', SPACES, wished(at('16384', '/srv/slow:disk'))), isUsage)
  assert.throws(() => layOut('/data', SPACES, wished(at('99', '/x'))), isUsage)
  assert.throws(() => layOut('data', [], wished()), isUsage)
  assert.throws(() => layOut('/', [], wished()), isUsage)
  assert.throws(() => layOut('/data/..', [], wished()), isUsage)
  for (const option of ['x', ':x', 'x:'])
    assert.throws(() => tablespaceMappingOf([option]), isUsage)
})

test('a place that only the backup names is taken below an allowed root, and nowhere else', () => {
  const isForeign = (error: unknown): boolean => isBackstayError(error, 'DIRECTORY_FOREIGN')
  assert.throws(() => layOut('/data', SPACES, wished(new Map(), [])), isForeign)
  assert.throws(() => layOut('/data', SPACES, wished(new Map(), ['/srv/fast'])), isForeign)
  assert.throws(() => layOut('/data', SPACES, wished(new Map(), ['/sr'])), isForeign)
  const { tablespaces } = layOut('/data', SPACES, wished(new Map(), ['/srv']))
  assert.deepEqual(
    tablespaces.map(({ isNamed }) => isNamed),
    [false, false],
  )
  const climbing = [{ oid: 1, location: '/srv/../etc/ssh' }]
  assert.throws(() => layOut('/data', climbing, wished(new Map(), ['/srv'])), isForeign)
})

test('one directory takes all tablespaces, and one in the data directory stays there', () => {
  const mapping = tablespaceMappingOf(['*:/new', '16385:/slow'])
  const { tablespaces, inside } = layOut(
    '/data',
    [...SPACES, { oid: 16_386, location: 'pg_tblspc/16386' }],
    wished(mapping, []),
  )
  assert.deepEqual(
    tablespaces.map(({ directory }) => directory),
    ['/new/16384', '/slow'],
  )
  assert.deepEqual(inside, ['pg_tblspc/16386'])
})

test('colons, commas and equal signs in a directory are written with a backslash, or as pg_basebackup has them', () => {
  const mapping = tablespaceMappingOf([
    String.raw`/old:here:/new\:there`,
    String.raw`/with\=sign=/new\=sign`,
    String.raw`/back\\slash:/x,y`,
    '/c:d=/e:f',
  ])
  assert.deepEqual(
    [...mapping],
    [
      ['/old:here', '/new:there'],
      ['/with=sign', '/new=sign'],
      [String.raw`/back\slash`, '/x,y'],
      ['/c:d', '/e:f'],
    ],
  )
})
