/**
 * What a file leaves out is filled in, and the engine gets every fact.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MACHINE, read } from './machine.ts'

/** What ssh is told when the file says nothing of it. */
const plain = { sudoPassword: undefined, config: undefined }

const DESIGN_EXAMPLE = `cluster: shop
postgres:
  version: 18
  parameters: { max_connections: 50, shared_buffers: 128MB }
  access: [ "host all all 192.168.100.0/24 scram-sha-256" ]
servers:
  db1: { role: primary, host: 192.168.100.10 }
  db2: { role: standby, host: 192.168.100.11 }
backup:
  server: vault
  host: 192.168.100.12
  repository: /var/lib/backstay
  schedule: { backup: "0 2 * * *" }
  retention: { window: 14d, minimum: 2 }
`

test('the example of the design becomes a complete wish', () => {
  const remote = { user: undefined, port: undefined, sudo: false, ...plain }
  const server = {
    port: 5432,
    directory: '/var/lib/postgresql/18/shop',
    socketDirectory: '/var/run/postgresql',
    tablespaceMapping: {},
    parameters: {},
  }
  assert.deepEqual(read(DESIGN_EXAMPLE).wanted, {
    name: 'shop',
    stateDirectory: '/etc/shop/.backstay/shop',
    postgres: {
      version: 18,
      tablespaceRoots: [],
      binaries: undefined,
      osUser: 'postgres',
      install: true,
      superuser: 'postgres',
      locale: 'C.UTF-8',
      encoding: 'UTF8',
      checksums: true,
      segmentBytes: 16 * 1024 * 1024,
      authentication: 'scram-sha-256',
      parameters: { max_connections: '50', shared_buffers: '128MB' },
      access: ['host all all 192.168.100.0/24 scram-sha-256'],
    },
    servers: [
      {
        name: 'db1',
        role: 'primary',
        host: { address: '192.168.100.10', local: false, ssh: remote },
        address: '192.168.100.10',
        ...server,
      },
      {
        name: 'db2',
        role: 'standby',
        host: { address: '192.168.100.11', local: false, ssh: remote },
        address: '192.168.100.11',
        ...server,
      },
    ],
    replication: {
      role: 'backstay_replication',
      connectionLimit: 10,
      walKeepBytes: 1024 ** 3,
      maxSlotWalKeepBytes: 16 * 1024 ** 3,
      synchronousStandbys: undefined,
      archiveDirectory: undefined,
      archivesToRepository: false,
    },
    backup: {
      name: 'vault',
      host: { address: '192.168.100.12', local: true, ssh: remote },
      address: '192.168.100.12',
      program: MACHINE.program,
      repository: '/var/lib/backstay',
      osUser: 'postgres',
      keepsOwner: true,
      backupRole: 'backstay_backup',
      streamRole: 'backstay_stream',
      slot: 'backstay_vault',
      synchronous: false,
      schedule: { backup: '0 2 * * *', verify: undefined },
      retention: { windowMs: 14 * 86_400_000, count: undefined, minimum: 2 },
      read: 'auto',
      compressionLevel: 1,
      rateLimitBytes: undefined,
    },
  })
})

test('a host is this machine by its name, its addresses and every name of the loopback', () => {
  for (const host of ['localhost', '127.0.0.1', '127.1.2.3', '"::1"', 'vault', '192.168.100.12']) {
    const { wanted } = read(DESIGN_EXAMPLE.replace('192.168.100.10', host))
    assert.equal(wanted.servers[0]?.host.local, true, host)
  }
  const { wanted } = read(DESIGN_EXAMPLE.replace('192.168.100.10', 'vault.example'))
  assert.equal(wanted.servers[0]?.host.local, false)
})

test('relative paths of this machine are relative to the file', () => {
  const { wanted } = read(`cluster: shop
stateDirectory: state
postgres: { version: 18, binaries: ../pgsql/bin }
servers:
  db1: { role: primary, host: localhost, directory: data, socketDirectory: sockets }
replication: { archive: archive }
backup: { server: db1, repository: repository }
`)
  const [server] = wanted.servers
  assert.equal(wanted.stateDirectory, '/etc/shop/state')
  assert.equal(wanted.postgres.binaries, '/etc/pgsql/bin')
  assert.equal(server?.directory, '/etc/shop/data')
  assert.equal(server?.socketDirectory, '/etc/shop/sockets')
  assert.equal(wanted.replication.archiveDirectory, '/etc/shop/archive')
  assert.equal(wanted.backup?.repository, '/etc/shop/repository')
})

test('a server on this machine has its sockets beside the state when the usual place cannot be written', () => {
  const file = DESIGN_EXAMPLE.replace('192.168.100.10', 'localhost')
  const directoryFor = (machine: Parameters<typeof read>[1]) =>
    read(file, machine).wanted.servers[0]?.socketDirectory
  assert.equal(directoryFor({}), '/etc/shop/.backstay/shop/sockets')
  assert.equal(directoryFor({ isRoot: true }), '/var/run/postgresql')
  assert.equal(directoryFor({ canWrite: () => true }), '/var/run/postgresql')
})

test('ssh settings of a server win over those of the cluster; sudo follows the user', () => {
  const { wanted } = read(
    `ssh: { user: admin, port: 2222 }\n${DESIGN_EXAMPLE}`.replace(
      'host: 192.168.100.11',
      'host: 192.168.100.11, ssh: { user: root }',
    ),
  )
  assert.deepEqual(wanted.servers[0]?.host.ssh, { user: 'admin', port: 2222, sudo: true, ...plain })
  assert.deepEqual(wanted.servers[1]?.host.ssh, { user: 'root', port: 2222, sudo: false, ...plain })
})

test('the backup server can be one of the servers and takes its host from there', () => {
  const { wanted } = read(
    DESIGN_EXAMPLE.replace('server: vault', 'server: db2').replace(/^ {2}host: .*\n/m, ''),
  )
  assert.equal(wanted.backup?.host.address, '192.168.100.11')
  assert.equal(wanted.backup?.slot, 'backstay_db2')
})

test('slotKeep can be unlimited', () => {
  const { wanted } = read(`${DESIGN_EXAMPLE}replication: { slotKeep: unlimited }\n`)
  assert.equal(wanted.replication.maxSlotWalKeepBytes, undefined)
})

test('without a backup part there is no backup server', () => {
  assert.equal(read(DESIGN_EXAMPLE.replace(/backup:\n(.*\n)*/, '')).wanted.backup, undefined)
})

test('the owner of a repository goes before the default user only where nothing else names one', () => {
  const keeps = (text: string): boolean | undefined => read(text).wanted.backup?.keepsOwner
  assert.equal(keeps(DESIGN_EXAMPLE), true)
  const line = 'repository: /var/lib/backstay'
  assert.equal(keeps(DESIGN_EXAMPLE.replace(line, `${line}\n  osUser: vault`)), false)
  const beside = DESIGN_EXAMPLE.replace('192.168.100.12', '192.168.100.11')
  assert.equal(keeps(beside), true)
  assert.equal(keeps(`${beside}replication: { archive: backup }\n`), false)
})
