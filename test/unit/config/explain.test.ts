/**
 * Every value is explained: by the line of the file, or as a default.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { explain } from '../../../src/config/explain.ts'
import { read } from './machine.ts'

const values = new Map(
  explain(
    read(`cluster: shop
ssh: { user: admin }
postgres:
  version: 18
  parameters:
    work_mem: 8MB
servers:
  db1: { role: primary, host: 10.0.0.1 }
  db2:
    host: 10.0.0.2
    port: 5433
backup:
  server: db2
  retention: { window: 2w }
`),
  ).map((value) => [value.key, value]),
)

test('a value of the file is explained by its line', () => {
  const { value, line } = values.get('servers.db2.port') ?? {}
  assert.deepEqual([value, line], [5433, 11])
  assert.equal(values.get('postgres.parameters.work_mem')?.line, 6)
})

test('a default has no line', () => {
  const { value, line } = values.get('servers.db1.port') ?? {}
  assert.deepEqual([value, line], [5432, null])
  assert.equal(values.get('servers.db1.directory')?.value, '/var/lib/postgresql/18/shop')
})

test('a value taken from another key is explained by that key', () => {
  assert.equal(values.get('servers.db2.address')?.line, 10)
  assert.equal(values.get('servers.db1.ssh.user')?.line, 2)
  assert.equal(values.get('backup.host')?.line, 10)
})

test('sizes and durations are shown as they are written', () => {
  const window = values.get('backup.retention.window')
  assert.deepEqual([window?.value, window?.written], [14 * 86_400_000, '2w'])
  assert.equal(values.get('postgres.segmentSize')?.written, '16MB')
})

test('keys without a value are listed', () => {
  assert.equal(values.get('replication.synchronous')?.value, null)
  assert.equal(values.get('replication.synchronous')?.line, null)
})

test('no secret is explained', () => {
  const shown = explain(
    read(`cluster: shop
postgres:
  version: 18
  parameters:
    ssl_passphrase_command: echo s3cret
    recovery_end_command: push --password s3cret
    app.secret: s3cret
  access: ['host all all 10.0.0.0/8 ldap ldapserver=x ldapbindpasswd="s3cret"']
servers: { db1: { role: primary, host: 10.0.0.1 } }
`),
  )
  assert.doesNotMatch(JSON.stringify(shown), /s3cret/)
  const value = shown.find(({ key }) => key === 'postgres.parameters.ssl_passphrase_command')
  assert.deepEqual([value?.value, value?.written], ['***', '***'])
})
