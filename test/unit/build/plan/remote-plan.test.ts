/**
 * What a plan holds for hosts reached over ssh: packages, services, the backup server's machine.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ClusterFound, ServerFound } from '../../../../src/cluster/found.ts'
import { makePlan } from '../../../../src/build/plan/plan.ts'
import { unitTextWanted } from '../../../../src/build/plan/unit-plan.ts'
import type { ClusterWanted } from '../../../../src/cluster/wanted.ts'
import { GUARD_TEXT } from '../../../../src/host/boot-guard.ts'
import { type Bend, bareServer, healthy, nothing, server, wish } from '../../cluster/builders.ts'

const ssh = { user: undefined, port: undefined, sudo: false }
const remote = (address: string, role: 'primary' | 'standby') => ({
  role,
  address,
  host: { address, local: false, ssh },
})

const WANTED: ClusterWanted = wish({
  servers: [
    server('db1', remote('192.168.100.10', 'primary')),
    server('db2', remote('192.168.100.11', 'standby')),
  ],
})

const NO_SERVICE = { text: undefined, guard: undefined, isEnabled: false, activeState: 'inactive' }

function bare(name: string, change: Bend<ServerFound> = {}): ServerFound {
  return {
    ...bareServer(name, { state: 'missing' }),
    machineId: `machine of ${name}`,
    packageManager: 'apt-get',
    service: NO_SERVICE,
    binaries: { code: 'BINARIES_MISSING', message: 'not found', hint: 'install it' },
    ...change,
  }
}

function bareCluster(change: Bend<ServerFound> = {}): ClusterFound {
  return { ...nothing(WANTED), servers: [bare('db1'), bare('db2', change)] }
}

const titles = (found: ClusterFound): readonly string[] =>
  makePlan(WANTED, found).steps.map((step) => `${step.server ?? 'here'} ${step.action}`)

test('PostgreSQL is installed on every bare machine before anything is built on it', () => {
  const steps = titles(bareCluster())
  const builds = steps.indexOf('db1 initdb')
  assert.ok(steps.indexOf('db1 install') < builds && steps.indexOf('db2 install') < builds)
})

test('one machine gets PostgreSQL once', () => {
  const found = bareCluster({ machineId: 'machine of db1' })
  const apart = {
    ...WANTED,
    servers: WANTED.servers.map((one) => ({ ...one, host: WANTED.servers[0]?.host ?? one.host })),
  }
  const installs = makePlan(apart, found).steps.filter(({ action }) => action === 'install')
  assert.equal(installs.length, 1)
})

test('without a package manager the missing programs stop everything', () => {
  const { steps, problems } = makePlan(WANTED, bareCluster({ packageManager: undefined }))
  assert.deepEqual(steps, [])
  assert.equal(problems[0]?.code, 'BINARIES_MISSING')
})

test('a server is made a service before it is started', () => {
  const steps = titles(bareCluster())
  for (const name of ['db1', 'db2']) {
    const unit = steps.indexOf(`${name} postgres-unit`)
    assert.ok(unit >= 0 && unit < steps.indexOf(`${name} start`), name)
  }
})

test('a service that is as it should be is left alone, another one is written anew', () => {
  const found = healthy(WANTED)
  const withService = (text: string | undefined): ClusterFound => ({
    ...found,
    servers: found.servers.map((one) => ({
      ...one,
      service: { text, guard: GUARD_TEXT, isEnabled: true, activeState: 'active' },
    })),
  })
  const [db1] = WANTED.servers
  const programs = '/usr/lib/postgresql/18/bin'
  assert.ok(db1)
  const text = unitTextWanted(WANTED, db1, { programs, osUser: 'postgres' })
  assert.deepEqual(
    titles(withService(text)).filter((title) => title.startsWith('db1')),
    [],
  )
  assert.ok(titles(withService('old')).includes('db1 postgres-unit'))
})

test('the guard asks under the protection of the cluster file, in words that its psql knows', () => {
  const [db1] = WANTED.servers
  assert.ok(db1)
  const guardOf = (version: number, more: Partial<typeof WANTED> = {}): string => {
    const wanted = {
      ...WANTED,
      ...more,
      postgres: { ...WANTED.postgres, version },
    } as typeof WANTED
    const text = unitTextWanted(wanted, db1, { programs: '/bin', osUser: 'postgres' })
    return /^ExecStartPre=.*$/m.exec(text)?.[0] ?? ''
  }
  assert.match(guardOf(18), / PGREQUIREAUTH=scram-sha-256 /)
  assert.doesNotMatch(guardOf(15), / PG[A-Z]+=/)
  const none = { rootCert: undefined, cert: undefined, key: undefined }
  const ssl = { ...none, mode: 'require' } as const
  assert.match(guardOf(13, { ssl }), / PGSSLMODE=require PGCHANNELBINDING=require /)
  const full = { ...none, mode: 'verify-full', rootCert: '/ca.crt' } as const
  assert.match(guardOf(11, { ssl: full }), / PGSSLMODE=verify-full PGSSLROOTCERT=\/ca\.crt "/)
})

test('another unit of the same directory is held back, and the plan says so first', () => {
  const found = healthy(WANTED)
  const [db1] = WANTED.servers
  assert.ok(db1)
  const place = { programs: '/usr/lib/postgresql/18/bin', osUser: 'postgres' }
  const text = unitTextWanted(WANTED, db1, place)
  const planWith = (isHeld: boolean) => {
    const rivals = [{ unit: 'postgresql@18-main.service', isHeld }]
    const service = { text, guard: GUARD_TEXT, isEnabled: true, activeState: 'inactive', rivals }
    const servers = found.servers.map((one) => (one.name === 'db1' ? { ...one, service } : one))
    return makePlan(WANTED, { ...found, servers }).steps
  }
  const [step, ...others] = planWith(false)
  assert.deepEqual(others, [])
  assert.equal(step?.action, 'postgres-unit')
  assert.match(step.reason, /postgresql@18-main\.service would start the same data directory/)
  assert.ok(
    step.diff.some(({ text: line }) => line.includes('postgresql@18-main.service.d/backstay.conf')),
  )
  assert.deepEqual(planWith(true), [])
})

test('our unit names no file that systemd would remove from a running server', () => {
  const [db1] = WANTED.servers
  assert.ok(db1)
  const server = { ...db1, configFile: '/etc/postgresql/18/ma in/postgresql.conf' }
  const place = { programs: '/usr/lib/postgresql/18/bin', osUser: 'postgres' }
  const text = unitTextWanted(WANTED, server, place)
  assert.doesNotMatch(text, /PIDFile/)
  assert.ok(
    text.includes(`-o "-c 'config_file=/etc/postgresql/18/ma in/postgresql.conf'" start\n`),
    text,
  )
})

const BACKSTAY = {
  version: '0.1.0-0123456789',
  directory: '/opt/backstay/0.1.0-0123456789',
  isThere: false,
  obstacle: undefined,
}

test('a clone on another machine is made by Backstay there, which is put there first, once', () => {
  const found = bareCluster({ backstay: BACKSTAY })
  const steps = titles(found)
  assert.ok(steps.indexOf('db2 package') >= 0)
  assert.ok(steps.indexOf('db2 package') < steps.indexOf('db2 clone'))
  const direct = makePlan(WANTED, found).steps.find((step) => step.action === 'clone')
  assert.equal(direct?.isDirect, true)
  const again = bareCluster({ backstay: { ...BACKSTAY, isThere: true } })
  assert.ok(!titles(again).includes('db2 package'))
})

test('two standbys on one machine get Backstay once', () => {
  const [db1, db2] = WANTED.servers
  assert.ok(db1 && db2)
  const wanted = {
    ...WANTED,
    servers: [db1, db2, { ...db2, name: 'db3', port: 5433, directory: '/d' }],
  }
  const bares = ['db1', 'db2', 'db3'].map((name) => bare(name, { backstay: BACKSTAY }))
  const { steps } = makePlan(wanted, { ...nothing(wanted), servers: bares })
  assert.equal(steps.filter(({ action }) => action === 'package').length, 1)
  assert.equal(steps.filter(({ action }) => action === 'clone').length, 2)
})

test('where Backstay cannot be put the clone goes through the operator, and says why', () => {
  const obstacle = 'it is a machine of kind aarch64, this one is x86_64'
  const { steps } = makePlan(WANTED, bareCluster({ backstay: { ...BACKSTAY, obstacle } }))
  const clone = steps.find((step) => step.action === 'clone')
  assert.equal(clone?.isDirect, false)
  assert.match(
    clone?.reason ?? '',
    /there is no data directory; through this machine: .* of kind aarch64/,
  )
  assert.ok(!steps.some(({ action }) => action === 'package'))
})

test('two names for one machine are seen', () => {
  const wanted = { ...WANTED, servers: WANTED.servers.map((one) => ({ ...one, port: 5432 })) }
  const { steps, problems } = makePlan(wanted, bareCluster({ machineId: 'machine of db1' }))
  assert.deepEqual(steps, [])
  assert.match(problems[0]?.message ?? '', /by another name/)
})

test('an address that is every machine’s own is refused when there are several machines', () => {
  const [db1, ...others] = WANTED.servers
  assert.ok(db1)
  const wanted = { ...WANTED, servers: [{ ...db1, address: '127.0.0.1' }, ...others] }
  assert.equal(makePlan(wanted, bareCluster()).problems[0]?.code, 'CONFIG_INVALID')
})
