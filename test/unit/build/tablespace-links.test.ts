import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ServerFound } from '../../../src/cluster/found.ts'
import { refuseElsewhere } from '../../../src/build/tablespace-links.ts'
import { server, wish } from '../cluster/builders.ts'

const link = '/srv/db1/pg_tblspc/99999'
const db1 = server('db1', { directory: '/srv/db1', tablespaceMapping: { '/ts/a': '/own/a' } })
const db2 = server('db2', { tablespaceMapping: { '/ts/b': '/leader/b' } })
const db3 = server('db3', { tablespaceMapping: { '/ts/c': '/third/c' } })
const base = wish()
const wanted = {
  ...base,
  postgres: { ...base.postgres, tablespaceRoots: ['/tablespaces/'] },
  servers: [db1, db2, db3],
}
const tablespaces = [{ oid: 1, name: 'd', location: '/found/d' }]
const leader = { name: 'db2', sql: { tablespaces } } as unknown as ServerFound

function isRefused(target: string): boolean {
  try {
    refuseElsewhere({ link, target }, { wanted, server: db1, leader })
    return false
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'DIRECTORY_FOREIGN')
    assert.ok(String(error).includes(link))
    return true
  }
}

test('a tablespace counts where the cluster file or the primary has one', () => {
  const places = ['/own/a', '/tablespaces/x', '/leader/b', '/found/d']
  assert.deepEqual(places.filter(isRefused), [])
})

test('a former primary’s counts where the others expect it', () => {
  assert.deepEqual(['/ts/b', '/ts/c'].filter(isRefused), [])
})

test('everything else is refused', () => {
  const near = ['/tablespaces/../etc', '/tablespaces2', '/ts/b/', '/found/d/deeper']
  const places = ['/etc', '/', ...near, '/third/c', '/ts/a']
  assert.deepEqual(places.filter(isRefused), places)
})
