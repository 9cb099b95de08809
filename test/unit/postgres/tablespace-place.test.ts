import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isTablespaceContent, placeTablespace } from '../../../src/postgres/tablespace-place.ts'

const wishes = { mapping: { '/fast/ts': '/slow/ts' }, roots: ['/srv/spaces', '/mnt/one/'] }

function kindOf(location: string, oid = 16400): string {
  const place = placeTablespace({ oid, location }, wishes)
  if (place.kind === 'refused') return 'refused'
  return `${place.kind} ${place.kind === 'inside' ? place.path : place.directory}`
}

test('a location goes where the operator said, or below an allowed root, or nowhere', () => {
  assert.equal(kindOf('/fast/ts'), 'named /slow/ts')
  assert.equal(kindOf('/srv/spaces/a'), 'allowed /srv/spaces/a')
  assert.equal(kindOf('/srv/spaces'), 'allowed /srv/spaces')
  assert.equal(kindOf('/mnt/one/a/b'), 'allowed /mnt/one/a/b')
  assert.equal(kindOf('pg_tblspc/16400'), 'inside pg_tblspc/16400')
})

test('nothing else is written to, however it is spelled', () => {
  const hostile = [
    '/etc/systemd/system/postgresql.service.d',
    '/srv/spacesuit',
    '/srv/spaces/../../etc/cron.d',
    '/srv/spaces//a',
    '/srv/spaces/a/',
    '/srv/spaces/a\n/etc',
    '/srv/spaces/a\0',
    'pg_tblspc/16401',
    'pg_tblspc/../../etc',
    'base',
    '',
    '/',
    '__proto__',
    'constructor',
  ]
  for (const location of hostile) assert.equal(kindOf(location), 'refused', location)
  const everything = placeTablespace({ oid: 1, location: '/etc' }, { mapping: {}, roots: ['/'] })
  assert.equal(everything.kind, 'refused')
})

test('a tablespace holds one kind of directory', () => {
  for (const path of ['PG_18_202506291', 'PG_18_202506291/5/16384', 'PG_18_202506291/pgsql_tmp']) {
    assert.ok(isTablespaceContent(path, 18), path)
  }
  const strange = [
    'override.conf',
    'PG_17_202406281/5/1',
    'PG_18',
    'PG_18_1',
    'PG_18_202506291/../../x',
    'PG_18_202506291x/1',
    '../PG_18_202506291',
    'PG_18_202506291/a\0b',
    '',
  ]
  for (const path of strange) assert.ok(!isTablespaceContent(path, 18), path)
})
