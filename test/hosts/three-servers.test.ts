/**
 * Three bare servers become a cluster with one command, stay one, and are taken down again: the how-to's own topology, by ssh,
 * with systemd. PostgreSQL is installed by apt from the repository the hosts have.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { until } from '../harness/until.ts'
import { json, said, seconds, statusOf } from './rig/answers.ts'
import { threeServers } from './rig/cluster-file.ts'
import { TestHosts } from './rig/hosts.ts'
import { whyNoHosts } from './rig/image.ts'

const SETTLE_TIMEOUT_MS = 90_000

describe('three servers from nothing', { skip: whyNoHosts() ?? false }, () => {
  let hosts: TestHosts
  before(async () => {
    hosts = await TestHosts.start({ withPostgres: false })
    hosts.writeClusterFile(threeServers())
  })
  after(async () => hosts?.[Symbol.asyncDispose]())

  test('plan shows packages, services and the backup server before anything is done', async () => {
    const plan = await hosts.backstay('plan')
    assert.equal(plan.code, 0, said(plan))
    for (const line of [
      /install PostgreSQL 15 with apt-get/,
      /package postgresql-15/,
      /make it service backstay-postgres-shop-db1\.service/,
      /make OS user "backstay"/,
      /install Backstay .* in \/opt\/backstay.*it clones straight from "db1"/,
      /install Backstay .* in \/opt\/backstay.*it is missing/,
      /start service backstay-shop\.service/,
    ]) {
      assert.match(plan.stdout, line)
    }
    assert.notEqual(hosts.host('primary').tryRun('command -v psql').code, 0)
  })

  test('up installs PostgreSQL and builds primary, standby and backup server', async (t) => {
    const half = hosts.host('standby').tryRun('dpkg --unpack /srv/debs/postgresql-common_*.deb')
    assert.equal(half.code, 0, 'one of them has a package that is half installed')
    const up = await hosts.backstay('up', '--json')
    const { primary, problems } = json(up) as { primary: string; problems: unknown[] }
    t.diagnostic(`up of three bare hosts, PostgreSQL installed on the way: ${seconds(up)}`)
    assert.equal(primary, 'db1')
    assert.deepEqual(problems, [])
  })

  test('a second up finds nothing to do', async (t) => {
    const up = await hosts.backstay('up')
    assert.equal(up.stdout, 'nothing to do\n', up.stderr)
    assert.equal(up.code, 0)
    t.diagnostic(`second up: ${seconds(up)}`)
  })

  test('status says that servers and WAL receiver stream, verify proves it with a row', async () => {
    const found = await until(
      'the WAL receiver to stream',
      async () => {
        const seen = await statusOf(hosts)
        return seen.backup?.receiver?.state === 'streaming' ? seen : undefined
      },
      SETTLE_TIMEOUT_MS,
    )
    assert.equal(found.verdict, 'ok')
    assert.deepEqual(
      found.servers.map(({ name, state }) => `${name} ${state}`),
      ['db1 running', 'db2 streaming'],
    )
    assert.deepEqual(found.backup?.problems, [])
    const verify = await hosts.backstay('verify')
    assert.equal(verify.code, 0, said(verify))
  })

  test('databases and rows cross from the primary to the standby', async () => {
    hosts.sql('primary', 'CREATE DATABASE test_db')
    hosts.sql(
      'primary',
      'CREATE TABLE names AS SELECT g AS id FROM generate_series(1, 1000) g',
      'test_db',
    )
    await until('the rows to be on the standby', () => {
      const query = "SELECT count(*) FROM pg_database WHERE datname = 'test_db'"
      if (hosts.sql('standby', query) === '0') return false
      const there = hosts.sql(
        'standby',
        "SELECT count(*) FROM pg_class WHERE relname = 'names'",
        'test_db',
      )
      return (
        there === '1' && hosts.sql('standby', 'SELECT count(*) FROM names', 'test_db') === '1000'
      )
    })
  })

  test('a standby is cloned straight from the primary: its bytes do not pass the operator', async (t) => {
    hosts.sql(
      'primary',
      "CREATE TABLE big AS SELECT g, repeat('x', 100) AS filler FROM generate_series(1, 1500000) g",
      'test_db',
    )
    const bytes = Number(hosts.sql('primary', "SELECT pg_database_size('test_db')"))
    const before = hosts.operatorBytes
    const recloned = await hosts.backstay('reclone', 'db2', '--discard-old', '--yes', '--json')
    assert.equal(recloned.code, 0, said(recloned))
    const passed = hosts.operatorBytes - before
    const [megabytes, seen] = [bytes, passed].map((count) => (count / 1e6).toFixed(1))
    t.diagnostic(`reclone of ${megabytes} MB: ${seconds(recloned)}, ${seen} MB passed the operator`)
    assert.ok(bytes > 150e6 && passed < bytes / 50, `${passed} of ${bytes}`)
    assert.equal((await statusOf(hosts)).verdict, 'ok')
  })

  test('backup, started on the operator’s machine, is taken on the backup server; check finds nothing wrong', async () => {
    const backup = await hosts.backstay('backup', '--json')
    const { id } = json(backup) as { id: string }
    const backups = await hosts.backstay('backups', '--json')
    assert.deepEqual(
      (json(backups) as { backups: { id: string }[] }).backups.map((one) => one.id),
      [id],
    )
    assert.equal((await statusOf(hosts)).backup?.lastBackup?.id, id)
    const owner = hosts.host('backup').run('stat -c %U /var/lib/backstay').trim()
    assert.equal(owner, 'backstay')
    const check = await hosts.backstay('check')
    assert.doesNotMatch(check.stdout, /^fail/m)
  })

  test('passwords are on the machines that need them, readable by one OS user', () => {
    const files = {
      primary: ['/var/lib/postgresql/15/shop.pgpass', 'postgres'],
      standby: ['/var/lib/postgresql/15/shop.pgpass', 'postgres'],
      backup: ['/var/lib/backstay/.pgpass', 'backstay'],
    } as const
    for (const [name, [path, owner]] of Object.entries(files)) {
      const found = hosts
        .host(name as keyof typeof files)
        .run(`stat -c '%a %U' ${path}`)
        .trim()
      assert.equal(found, `600 ${owner}`, name)
    }
  })

  test('down stops everything, up starts it again, down --destroy leaves the repository alone', async () => {
    const down = await hosts.backstay('down')
    assert.equal(down.code, 0, said(down))
    assert.match(down.stdout, /Stopped db1, db2/)
    for (const name of ['primary', 'standby'] as const) {
      assert.notEqual(hosts.host(name).tryRun('pgrep -x postgres').code, 0)
    }
    assert.notEqual(hosts.host('backup').tryRun('systemctl is-active backstay-shop').code, 0)
    const up = await hosts.backstay('up')
    assert.equal(up.code, 0, said(up))
    const verify = await hosts.backstay('verify')
    assert.equal(verify.code, 0, said(verify))
    const destroyed = await hosts.backstay('down', '--destroy', '--yes')
    assert.equal(destroyed.code, 0, said(destroyed))
    assert.equal(hosts.host('primary').tryRun('ls /var/lib/postgresql/15').stdout, '')
    assert.match(hosts.host('backup').run('ls /var/lib/backstay'), /\S/)
    const units = 'ls /etc/systemd/system | grep backstay'
    for (const name of ['primary', 'standby', 'backup'] as const) {
      assert.equal(hosts.host(name).tryRun(units).stdout, '', name)
    }
  })
})
