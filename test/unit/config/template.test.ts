/**
 * What `backstay init` writes is a file the loader takes.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type NewCluster, renderClusterFile } from '../../../src/config/template.ts'
import { read } from './machine.ts'

const CLUSTER: NewCluster = {
  cluster: 'shop',
  version: 17,
  primary: { host: '10.0.0.1' },
  standbys: [{ host: 'db2.example', port: 5433 }, { host: '::1' }],
  backupHost: '10.0.0.9',
  repository: '/srv/backups',
  directory: '/srv/pg data',
  schemaPath: '/usr/lib/schema.json',
}

test('a new file says what was asked for', () => {
  const { wanted } = read(renderClusterFile(CLUSTER))
  assert.equal(wanted.name, 'shop')
  assert.equal(wanted.postgres.version, 17)
  assert.deepEqual(
    wanted.servers.map(({ name, role, address, port, directory }) => {
      return [name, role, address, port, directory]
    }),
    [
      ['db1', 'primary', '10.0.0.1', 5432, '/srv/pg data'],
      ['db2', 'standby', 'db2.example', 5433, '/srv/pg data'],
      ['db3', 'standby', '::1', 5432, '/srv/pg data'],
    ],
  )
  assert.equal(wanted.backup?.repository, '/srv/backups')
  assert.deepEqual(wanted.backup?.retention, {
    windowMs: 14 * 86_400_000,
    count: undefined,
    minimum: 2,
  })
})

test('a new file tells editors where the schema is', () => {
  assert.match(
    renderClusterFile(CLUSTER),
    /^# yaml-language-server: \$schema=\/usr\/lib\/schema\.json\n/,
  )
})

test('servers of one machine get ports and directories of their own', () => {
  const text = renderClusterFile({
    ...CLUSTER,
    primary: { host: 'localhost', port: 5433 },
    standbys: [{ host: 'localhost' }, { host: 'localhost' }],
    backupHost: undefined,
    directory: undefined,
  })
  const { wanted } = read(text)
  assert.deepEqual(
    wanted.servers.map(({ port, directory }) => [port, directory]),
    [
      [5433, '/var/lib/postgresql/17/shop/db1'],
      [5432, '/var/lib/postgresql/17/shop/db2'],
      [5434, '/var/lib/postgresql/17/shop/db3'],
    ],
  )
  assert.equal(wanted.backup, undefined)
})

test('a backup on the machine of the primary is written with a warning', () => {
  const text = renderClusterFile({ ...CLUSTER, backupHost: '10.0.0.1' })
  assert.match(text, /# On the machine of the primary: it helps against mistakes/)
})
