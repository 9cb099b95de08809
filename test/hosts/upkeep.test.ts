/**
 * What happens to a cluster over the years: PostgreSQL's packages are updated, a server gets another name, one
 * leaves the cluster file, another operator comes.
 */
import assert from 'node:assert/strict'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { until } from '../harness/until.ts'
import { json, said } from './rig/answers.ts'
import { threeServers } from './rig/cluster-file.ts'
import { TestHosts, type HostName } from './rig/hosts.ts'
import { whyNoHosts } from './rig/image.ts'

const PROGRAM = '/usr/lib/postgresql/15/bin/postgres'
const DATA = '/var/lib/postgresql/15/shop'
const UNIT = 'backstay-postgres-shop'
const TIMEOUT_MS = 300_000
/** Primary and standby. */
const [TWO = ''] = threeServers().split('backup:\n')

interface Finding {
  readonly check: string
  readonly server: string
  readonly status: string
  readonly remedy: string
}

describe('upkeep of three servers', { skip: whyNoHosts() ?? false }, () => {
  let hosts: TestHosts
  before(async () => {
    hosts = await TestHosts.start({ withPostgres: true })
    hosts.writeClusterFile(TWO)
    json(await hosts.backstay('up', '--json'))
  })
  after(async () => hosts?.[Symbol.asyncDispose]())

  const programs = async (): Promise<readonly string[]> => {
    const { findings } = JSON.parse((await hosts.backstay('check', '--json')).stdout) as {
      findings: readonly Finding[]
    }
    return findings
      .filter(({ check }) => check === 'server.program')
      .map(({ server, status, remedy }) => `${server} ${status} ${remedy ?? ''}`.trim())
  }
  const pid = (name: HostName): string =>
    hosts.host(name).run(`head -n 1 ${DATA}/postmaster.pid`).trim()
  const units = (name: HostName): string =>
    hosts.host(name).run(`ls /etc/systemd/system | grep '^${UNIT}' || true`).trim()
  const slots = (): string =>
    hosts.sql('primary', "SELECT string_agg(slot_name, ' ' ORDER BY 1) FROM pg_replication_slots")

  test('an operator who has lost his state, or comes second, gets in over the ssh way he has, and nothing secret is shown', async () => {
    const kept = '/etc/backstay/shop.state'
    for (const name of ['primary', 'standby'] as const) {
      assert.equal(hosts.host(name).run(`stat -c %U:%a ${kept}`).trim(), 'root:600')
    }
    const state = join(hosts.desk, '.backstay')
    const passwords = readFileSync(join(state, 'shop/passwords'), 'utf8')
    rmSync(state, { recursive: true })
    const status = await hosts.backstay('status')
    assert.notEqual(status.code, 0)
    assert.match(status.stderr, /does not know them/)
    assert.match((await hosts.backstay('up')).stderr, /backstay join/)
    assert.match((await hosts.backstay('join')).stderr, /Will not join unasked/)
    const joined = await hosts.backstay('join', '--yes')
    assert.equal(joined.code, 0, said(joined))
    const secrets = passwords.split('\n').flatMap((line) => line.split(':')[4] ?? [])
    assert.ok(secrets.length > 0)
    assert.ok(secrets.every((secret) => !said(joined).includes(secret)))
    assert.equal(readFileSync(join(state, 'shop/passwords'), 'utf8'), passwords)
    assert.match((await hosts.backstay('up')).stdout, /nothing to do/)
    const again = await hosts.backstay('join', '--yes')
    assert.match(again.stdout, /nothing to do/)
    hosts.host('standby').run(`chmod 644 ${kept}`)
    rmSync(state, { recursive: true })
    assert.match((await hosts.backstay('join', '--yes')).stderr, /is not root's alone/)
    hosts.host('standby').run(`chmod 600 ${kept}`)
    assert.equal((await hosts.backstay('join', '--yes')).code, 0)
  })

  test('a package update is noticed on the server it happened on', async () => {
    assert.deepEqual(await programs(), ['db1 ok', 'db2 ok'])
    for (const name of ['primary', 'standby'] as const) {
      // As dpkg does it: the new file takes the old one's name.
      hosts.host(name).run(`cp -p ${PROGRAM} ${PROGRAM}.new && mv ${PROGRAM}.new ${PROGRAM}`)
    }
    const noticed = await programs()
    assert.match(noticed[0] ?? '', /^db1 warn Run: backstay restart db1/)
    assert.match(noticed[1] ?? '', /^db2 warn Run: backstay restart db2/)
  })

  test('restart is refused while the standby is not there, and then takes the standby first', async () => {
    hosts.host('standby').run(`systemctl stop ${UNIT}-db2`)
    const before = pid('primary')
    const refused = await hosts.backstay('restart', '--rolling')
    assert.match(refused.stderr, /Cannot restart: standby "db2" does not run/)
    assert.equal(pid('primary'), before)
    json(await hosts.backstay('up', '--json'))
    const done = await hosts.backstay('restart', '--rolling')
    assert.equal(done.code, 0, said(done))
    assert.match(said(done), /db2: restart.*db2: wait until it streams.*db1: restart/s)
    assert.notEqual(pid('primary'), before)
    for (const [name, server] of [
      ['primary', 'db1'],
      ['standby', 'db2'],
    ] as const) {
      assert.equal(hosts.host(name).run(`systemctl is-active ${UNIT}-${server}`).trim(), 'active')
    }
    assert.deepEqual(await programs(), ['db1 ok', 'db2 ok'])
  })

  test('a server with another name runs as one service under that name, also after a reboot', async () => {
    hosts.writeClusterFile(TWO.replace('db2:', 'berlin:'))
    const plan = await hosts.backstay('plan')
    assert.match(plan.stdout, /Server "db2" is "berlin" in the cluster file now/)
    assert.match(plan.stdout, /backstay rename db2 berlin/)
    const unasked = await hosts.backstay('rename', 'db2', 'berlin')
    assert.match(unasked.stderr, /Will not rename "db2" unasked/)
    const done = await hosts.backstay('rename', 'db2', 'berlin', '--yes')
    assert.equal(done.code, 0, said(done))
    assert.equal(units('standby'), `${UNIT}-berlin.service`)
    assert.equal(slots(), 'backstay_berlin')
    await hosts.powerOff('standby')
    await hosts.powerOn('standby')
    await until(
      'the standby to stream under its name',
      () =>
        hosts.sql(
          'primary',
          "SELECT count(*) FROM pg_stat_replication WHERE application_name = 'berlin'",
        ) === '1',
      TIMEOUT_MS,
    )
    assert.match((await hosts.backstay('up')).stdout, /nothing to do/)
  })

  test('a server that left the file is named by plan until it is forgotten; its data stay', async () => {
    hosts.writeClusterFile(TWO.replace(/^ {2}db2: .*\n/m, ''))
    const plan = await hosts.backstay('plan')
    assert.match(plan.stdout, /Server "berlin" is not in the cluster file any more/)
    const early = await hosts.backstay('forget', 'db1')
    assert.match(early.stderr, /Will not forget "db1": it is in the cluster file/)
    const unasked = await hosts.backstay('forget', 'berlin')
    assert.match(unasked.stderr, /Will not forget "berlin" unasked/)
    const done = await hosts.backstay('forget', 'berlin', '--yes')
    assert.equal(done.code, 0, said(done))
    assert.equal(units('standby'), '')
    assert.notEqual(hosts.host('standby').tryRun('pgrep -x postgres').code, 0)
    assert.equal(slots(), '')
    hosts.host('standby').run(`test -f ${DATA}/PG_VERSION && ! test -e ${DATA}.pgpass`)
    json(await hosts.backstay('up', '--json'))
    assert.doesNotMatch((await hosts.backstay('plan')).stdout, /berlin/)
  })

  test('after an update the standby takes over instead of the primary being restarted in its place', async () => {
    hosts.writeClusterFile(TWO)
    const taken = await hosts.backstay('up')
    assert.equal(taken.code, 0, said(taken))
    for (const name of ['primary', 'standby'] as const) {
      hosts.host(name).run(`cp -p ${PROGRAM} ${PROGRAM}.new && mv ${PROGRAM}.new ${PROGRAM}`)
    }
    const done = await hosts.backstay('restart', '--rolling', '--switchover')
    assert.equal(done.code, 0, said(done))
    assert.equal(hosts.sql('standby', 'SELECT pg_is_in_recovery()'), 'f')
    assert.equal(hosts.sql('primary', 'SELECT pg_is_in_recovery()'), 't')
    assert.deepEqual(await programs(), ['db1 ok', 'db2 ok'])
    assert.match((await hosts.backstay('up')).stdout, /nothing to do/)
    json(await hosts.backstay('switchover', '--json'))
  })

  test('forget --remove-data takes the data as well; --host-is-lost asks nothing of a machine that is gone', async () => {
    hosts.writeClusterFile(TWO.replace(/^ {2}db2: .*\n/m, ''))
    const done = await hosts.backstay('forget', 'db2', '--remove-data', '--yes')
    assert.equal(done.code, 0, said(done))
    assert.equal(hosts.host('standby').run(`ls -d ${DATA}* 2>/dev/null || true`), '')
    assert.equal(slots(), '')
    hosts.writeClusterFile(TWO)
    json(await hosts.backstay('up', '--json'))
    await hosts.powerOff('standby')
    hosts.writeClusterFile(TWO.replace(/^ {2}db2: .*\n/m, ''))
    const silent = await hosts.backstay('forget', 'db2', '--yes')
    assert.equal(silent.code, 30, said(silent))
    assert.equal(slots(), 'backstay_db2')
    const lost = await hosts.backstay('forget', 'db2', '--host-is-lost', '--yes')
    assert.equal(lost.code, 0, said(lost))
    assert.equal(slots(), '')
    json(await hosts.backstay('up', '--json'))
    assert.match((await hosts.backstay('up')).stdout, /nothing to do/)
    const check = await hosts.backstay('check', '--json')
    assert.doesNotMatch(check.stdout, /db2/)
  })
})
