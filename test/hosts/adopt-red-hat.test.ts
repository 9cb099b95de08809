/**
 * A pair made by hand on Red Hat's family as the how-to types it (yum, postgresql-15-setup initdb, the package's own unit, pg_basebackup
 * -R) is taken over without a restart; afterwards one unit runs each server, and an old primary does not come back as a second one.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { upRestartsNobody } from './rig/adopted-pair.ts'
import { json, said, serversBecome, statusOf } from './rig/answers.ts'
import { type HostName, TestHosts } from './rig/hosts.ts'
import { whyNoRedHatHosts } from './rig/image.ts'

const PASSWORD = 'of-the-operator'
const PRIMARY = '192.168.100.10'
const DATA = '/var/lib/pgsql/15/data'
const UNIT = 'postgresql-15.service'
const PAIR = ['primary', 'standby'] as const
const OBSERVED_MS = 10_000

/** What the how-to puts at the end of the files that initdb wrote. */
const SETTINGS = `listen_addresses = '*'
wal_level = replica
wal_log_hints = on
max_wal_senders = 4
max_replication_slots = 4
hot_standby = on
work_mem = 7MB`
const HBA = `host replication replica 192.168.100.0/24 scram-sha-256
host all all 192.168.100.0/24 scram-sha-256`

function install(hosts: TestHosts, name: HostName): void {
  const host = hosts.host(name)
  host.run('dnf -qy module disable postgresql')
  host.run('yum -qy install postgresql15-server postgresql15-contrib')
}

function makePair(hosts: TestHosts): void {
  for (const name of PAIR) install(hosts, name)
  const [primary, standby] = [hosts.host('primary'), hosts.host('standby')]
  primary.run('/usr/pgsql-15/bin/postgresql-15-setup initdb')
  primary.run(`cat >>${DATA}/postgresql.conf <<'END'\n${SETTINGS}\nEND`)
  primary.run(`cat >>${DATA}/pg_hba.conf <<'END'\n${HBA}\nEND`)
  primary.run(`systemctl enable --now ${UNIT}`)
  for (const statement of [
    `ALTER ROLE postgres PASSWORD '${PASSWORD}'`,
    `CREATE ROLE replica LOGIN REPLICATION PASSWORD '${PASSWORD}'`,
    "SELECT pg_create_physical_replication_slot('standby')",
  ]) {
    primary.run(`runuser -u postgres -- psql -Xqc "${statement}"`)
  }
  const copy = `pg_basebackup -h ${PRIMARY} -U replica -D ${DATA} -c fast -X stream -S standby -R`
  standby.run(`runuser -u postgres -- env PGPASSWORD=${PASSWORD} ${copy}`)
  standby.run(`systemctl enable --now ${UNIT}`)
}

/** With what the note of `adopt` asks for: what `pg_basebackup -R` wrote would win over Backstay. */
async function adopt(hosts: TestHosts): Promise<void> {
  hosts.writeFile('passfile', `*:*:*:postgres:${PASSWORD}\n`, 0o600)
  const words = ['--cluster', 'shop', '--passfile', 'passfile']
  const adopted = await hosts.backstay('adopt', PRIMARY, ...words)
  assert.equal(adopted.code, 3, said(adopted))
  assert.match(
    adopted.stderr + adopted.stdout,
    /ALTER SYSTEM RESET primary_conninfo; ALTER SYSTEM RESET primary_slot_name/,
  )
  const text = readFileSync(join(hosts.desk, 'backstay.yaml'), 'utf8')
  assert.match(text, /directory: \/var\/lib\/pgsql\/15\/data/)
  hosts.writeClusterFile(`${text}\nssh: { config: ssh_config }\n`)
  for (const name of ['primary_conninfo', 'primary_slot_name']) {
    hosts.host('standby').run(`runuser -u postgres -- psql -Xqc 'ALTER SYSTEM RESET ${name}'`)
  }
}

const startedAt = (hosts: TestHosts): readonly string[] =>
  PAIR.map((name) => hosts.host(name).run(`stat -c %Y ${DATA}/postmaster.pid`))

const ask = (hosts: TestHosts, name: HostName, query: string): string =>
  hosts.host(name).tryRun(`runuser -u postgres -- psql -XAtc '${query}'`).stdout

describe(
  'adopting a pair made by hand on Red Hat’s family',
  { skip: whyNoRedHatHosts() ?? false },
  () => {
    let hosts: TestHosts
    before(async () => {
      hosts = await TestHosts.start({ withPostgres: false, family: 'red-hat' })
      makePair(hosts)
      await adopt(hosts)
    })
    after(async () => hosts?.[Symbol.asyncDispose]())

    test('status says before the first up that both serve', async () => {
      const { servers } = await statusOf(hosts)
      assert.deepEqual(
        servers.map(({ name, state }) => `${name} ${state}`),
        ['db1 running', 'db2 streaming'],
      )
    })

    test('plan shows what becomes of the package’s unit, and up restarts nobody', async () => {
      await upRestartsNobody(hosts, {
        planSays: /postgresql-15\.service starts nothing while backstay-postgres/,
        planNeverSays: /restart|stop PostgreSQL|clone|install/,
        startedAt,
      })
    })

    test('what the operator had goes on: his settings, psql as postgres without a password', () => {
      for (const name of PAIR) assert.equal(ask(hosts, name, 'SHOW work_mem'), '7MB\n')
    })

    test('a switchover there and back leaves each server with Backstay’s unit', async () => {
      for (const primary of ['db2', 'db1']) {
        const switched = await hosts.backstay('switchover', '--json')
        assert.equal((json(switched) as { primary: string }).primary, primary, said(switched))
        await serversBecome(hosts, primary === 'db1' ? 'running,streaming' : 'streaming,running')
      }
      for (const name of PAIR) {
        const host = hosts.host(name)
        const own = `backstay-postgres-shop-${name === 'primary' ? 'db1' : 'db2'}`
        assert.equal(host.run(`systemctl is-active ${own}`), 'active\n')
        assert.notEqual(host.tryRun(`systemctl is-active ${UNIT}`).code, 0)
      }
    })

    test('after a reboot one unit runs the standby, and the package’s starts nothing', async () => {
      await hosts.powerOff('standby')
      await hosts.powerOn('standby')
      await serversBecome(hosts, 'running,streaming')
      const standby = hosts.host('standby')
      assert.equal(standby.run('systemctl is-active backstay-postgres-shop-db2'), 'active\n')
      const other = standby.tryRun(`systemctl start ${UNIT}`)
      assert.notEqual(other.code, 0)
      assert.match(other.stderr, /Assertion failed/)
      assert.equal(ask(hosts, 'standby', 'SELECT 1'), '1\n')
    })

    test('after a failover the old primary that comes back is no second one', async () => {
      await hosts.powerOff('primary')
      const failed = await hosts.backstay('failover', '--allow-data-loss', '--json')
      assert.equal((json(failed, 3) as { primary: string }).primary, 'db2', said(failed))
      await hosts.powerOn('primary')
      assert.notEqual(hosts.host('primary').tryRun(`systemctl start ${UNIT}`).code, 0)
      const untilMs = performance.now() + OBSERVED_MS
      while (performance.now() < untilMs) {
        const answer = ask(hosts, 'primary', 'SELECT pg_is_in_recovery()')
        assert.notEqual(answer, 'f\n', 'the old primary takes writes')
        await new Promise((resolve) => setTimeout(resolve, 500))
      }
      const rejoined = await hosts.backstay('rejoin', 'db1', '--yes')
      assert.equal(rejoined.code, 0, said(rejoined))
      await serversBecome(hosts, 'streaming,running')
    })

    test('after a reboot of both, each is what it was', async () => {
      await Promise.all(PAIR.map(async (name) => hosts.host(name).shutDown()))
      await Promise.all(PAIR.map(async (name) => hosts.powerOn(name)))
      await serversBecome(hosts, 'streaming,running')
      const up = await hosts.backstay('up')
      assert.equal(up.stdout, 'nothing to do\n', said(up))
    })
  },
)
