/**
 * A pair as Debian's own tools make it (configuration in /etc/postgresql, peer for everybody on the socket, a unit that starts at
 * boot) is taken over without a restart, keeps what the operator had, and after a failover its old primary does not come back as
 * a second one, whichever unit is asked.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { upRestartsNobody } from './rig/adopted-pair.ts'
import { json, said, serversBecome, statusOf } from './rig/answers.ts'
import { type HostName, TestHosts } from './rig/hosts.ts'
import { whyNoHosts } from './rig/image.ts'

const PASSWORD = 'of-the-operator'
const PRIMARY = '192.168.100.10'
const UNIT = 'postgresql@15-main.service'

const HBA = ['all', 'replication']
  .map((database) => `host ${database} all 192.168.100.0/24 scram-sha-256`)
  .join('\\n')

/** What an operator types on Debian. */
function makeServer(hosts: TestHosts, name: HostName): void {
  const host = hosts.host(name)
  host.run('pg_createcluster 15 main -- --data-checksums')
  host.run("pg_conftool 15 main set listen_addresses '*'")
  host.run('pg_conftool 15 main set max_replication_slots 4')
  host.run(`printf '${HBA}\\n' >>/etc/postgresql/15/main/pg_hba.conf`)
  host.run("echo 'work_mem = 7MB' >/etc/postgresql/15/main/conf.d/site.conf")
}

function makePair(hosts: TestHosts): void {
  for (const name of ['primary', 'standby'] as const) makeServer(hosts, name)
  const [primary, standby] = [hosts.host('primary'), hosts.host('standby')]
  primary.run(`systemctl start ${UNIT}`)
  const alter = `ALTER ROLE postgres PASSWORD '${PASSWORD}'`
  primary.run(`runuser -u postgres -- psql -Xqc "${alter}"`)
  const data = '/var/lib/postgresql/15/main'
  standby.run(`rm -rf ${data}`)
  const copy = `pg_basebackup -h ${PRIMARY} -U postgres -D ${data} -c fast`
  standby.run(`runuser -u postgres -- env PGPASSWORD=${PASSWORD} ${copy}`)
  standby.run(`runuser -u postgres -- touch ${data}/standby.signal`)
  const conninfo = `host=${PRIMARY} user=postgres password=${PASSWORD} application_name=db2`
  standby.run(`pg_conftool 15 main set primary_conninfo '${conninfo}'`)
  standby.run(`systemctl start ${UNIT}`)
}

async function adopt(hosts: TestHosts): Promise<void> {
  hosts.writeFile('passfile', `*:*:*:postgres:${PASSWORD}\n`, 0o600)
  const words = ['--cluster', 'shop', '--passfile', 'passfile']
  const adopted = await hosts.backstay('adopt', PRIMARY, ...words)
  assert.equal(adopted.code, 0, said(adopted))
  const text = readFileSync(join(hosts.desk, 'backstay.yaml'), 'utf8')
  assert.match(text, /configFile: \/etc\/postgresql\/15\/main\/postgresql\.conf/)
  assert.equal(text.match(/adopted: true/g)?.length, 2)
  hosts.writeClusterFile(`${text}\nssh: { config: ssh_config }\n`)
}

const startedAt = (hosts: TestHosts): readonly string[] =>
  (['primary', 'standby'] as const).map((name) =>
    hosts.host(name).run('stat -c %Y /var/lib/postgresql/15/main/postmaster.pid'),
  )

describe('adopting a pair made with Debian’s tools', { skip: whyNoHosts() ?? false }, () => {
  let hosts: TestHosts
  before(async () => {
    hosts = await TestHosts.start({ withPostgres: true })
    makePair(hosts)
    await adopt(hosts)
  })
  after(async () => hosts?.[Symbol.asyncDispose]())

  test('status says before the first up that both serve, over a socket that takes peer only', async () => {
    const { servers } = await statusOf(hosts)
    assert.deepEqual(
      servers.map(({ name, state }) => `${name} ${state}`),
      ['db1 running', 'db2 streaming'],
    )
  })

  test('plan shows what becomes of Debian’s unit, and up restarts nobody', async () => {
    await upRestartsNobody(hosts, {
      planSays: /postgresql@15-main\.service starts nothing while backstay-postgres/,
      planNeverSays: /restart|stop PostgreSQL|clone/,
      startedAt,
    })
  })

  test('what the operator had goes on: his settings, psql as postgres without a password', () => {
    for (const name of ['primary', 'standby'] as const) {
      const shown = hosts.host(name).run("runuser -u postgres -- psql -XAtc 'SHOW work_mem'")
      assert.equal(shown, '7MB\n')
    }
  })

  test('after a reboot one unit runs the standby, and nobody takes its postmaster.pid', async () => {
    await hosts.powerOff('standby')
    await hosts.powerOn('standby')
    await serversBecome(hosts, 'running,streaming')
    const standby = hosts.host('standby')
    assert.equal(standby.run('systemctl is-active backstay-postgres-shop-db2'), 'active\n')
    const other = standby.tryRun(`systemctl start ${UNIT}`)
    assert.notEqual(other.code, 0)
    assert.match(other.stderr, /Assertion failed/)
    assert.equal(standby.run("runuser -u postgres -- psql -XAtc 'SELECT 1'"), '1\n')
  })

  test('after a failover the old primary that comes back is no second one', async () => {
    await hosts.powerOff('primary')
    const failed = await hosts.backstay('failover', '--allow-data-loss', '--json')
    assert.equal((json(failed, 3) as { primary: string }).primary, 'db2', said(failed))
    await hosts.powerOn('primary')
    const primary = hosts.host('primary')
    assert.notEqual(primary.tryRun(`systemctl start ${UNIT}`).code, 0)
    for (let tries = 0; tries < 20; tries += 1) {
      const asked = primary.tryRun("runuser -u postgres -- psql -XAtc 'SELECT pg_is_in_recovery()'")
      assert.notEqual(asked.stdout, 'f\n', 'the old primary takes writes')
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
    const rejoined = await hosts.backstay('rejoin', 'db1', '--yes')
    assert.equal(rejoined.code, 0, said(rejoined))
    await serversBecome(hosts, 'streaming,running')
  })
})
