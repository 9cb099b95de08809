/**
 * The unit of a server, as systemd reads it.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { postgresUnitText, systemdWord } from '../../../src/host/postgres-unit.ts'

const options = {
  cluster: 'shop',
  server: 'db1',
  programs: '/usr/lib/postgresql/15/bin',
  directory: '/var/lib/postgresql/15/shop',
  logFile: '/var/lib/postgresql/15/shop.log',
  osUser: 'postgres',
  role: 'backstay_replication',
  protection: {},
  peers: [{ address: '192.168.100.11', port: 5432 }],
}

test('the guard is asked first, with every other server', () => {
  const lines = postgresUnitText(options).split('\n')
  const guard = lines.findIndex((line) => line.startsWith('ExecStartPre='))
  const start = lines.findIndex((line) => line.startsWith('ExecStart='))
  assert.ok(guard < start)
  assert.equal(
    lines[guard],
    'ExecStartPre=/usr/local/lib/backstay/postgres-guard /var/lib/postgresql/15/shop /run/backstay-permits/backstay-postgres-shop-db1 /usr/lib/postgresql/15/bin backstay_replication "192.168.100.11 5432"',
  )
})

test('what protects connections reaches the guard, and not PostgreSQL', () => {
  const protection = { PGSSLMODE: 'verify-full', PGSSLROOTCERT: '/etc/my ca.crt' }
  const lines = postgresUnitText({ ...options, protection }).split('\n')
  const guard = lines.find((line) => line.startsWith('ExecStartPre=')) ?? ''
  assert.match(
    guard,
    / backstay_replication PGSSLMODE=verify-full "PGSSLROOTCERT=\/etc\/my ca.crt" "192\.168\.100\.11 5432"$/,
  )
  assert.deepEqual(
    lines.filter((line) => line.includes('PGSSL')),
    [guard],
  )
})

test('a data directory right below / or /usr makes nothing writable but itself and its log', () => {
  const writable = (directory: string): string | undefined =>
    /^ReadWritePaths=(.*)$/m.exec(
      postgresUnitText({ ...options, directory, logFile: `${directory}.log` }),
    )?.[1]
  assert.equal(writable('/var/lib/pgsql/15/data'), '-/var/lib/pgsql/15')
  assert.equal(writable('/pgdata'), '-/pgdata -/pgdata.log')
  assert.equal(writable('/usr/pgdata'), '-/usr/pgdata -/usr/pgdata.log')
})

test('a server comes up at boot, after the network', () => {
  const text = postgresUnitText(options)
  assert.match(text, /^WantedBy=multi-user\.target$/m)
  assert.match(text, /^After=network-online\.target$/m)
})

test('no name can become something else in the unit', () => {
  assert.equal(systemdWord('/data/shop'), '/data/shop')
  assert.equal(systemdWord('/data/100%'), '/data/100%%')
  assert.equal(systemdWord('/data/$HOME'), '/data/$$HOME')
  assert.equal(systemdWord('/my "data"\\x'), '"/my \\"data\\"\\\\x"')
  assert.equal(systemdWord('/x\nExecStartPre=+/y'), String.raw`"/x\x0aExecStartPre=+/y"`)
})
