/**
 * Three bare hosts of Red Hat's family (Debian with dnf in apt's place, the PostgreSQL project's packages by their names and places, and
 * the distribution's module that hides them) become a cluster with one command, and stay one.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { until } from '../harness/until.ts'
import { comesInOrder, json, said, seconds } from './rig/answers.ts'
import { threeServers } from './rig/cluster-file.ts'
import { HOST_NAMES, TestHosts } from './rig/hosts.ts'
import { whyNoRedHatHosts } from './rig/image.ts'

const DATA = '/var/lib/pgsql/15/data'
const UNIT = 'postgresql-15.service'
const SETTLE_TIMEOUT_MS = 90_000

describe('three servers of Red Hat’s family', { skip: whyNoRedHatHosts() ?? false }, () => {
  let hosts: TestHosts
  before(async () => {
    hosts = await TestHosts.start({ withPostgres: false, family: 'red-hat' })
    hosts.writeClusterFile(threeServers({ directory: DATA }))
  })
  after(async () => hosts?.[Symbol.asyncDispose]())

  /** `status`, `check` and `verify` agree that all is well. */
  async function isRight(primary: string): Promise<void> {
    await comesInOrder(hosts, primary)
    let last = ''
    const isOk = async (): Promise<boolean> => {
      const check = await hosts.backstay('check')
      last = said(check)
      return check.code === 0
    }
    await until('every check to be ok', isOk, SETTLE_TIMEOUT_MS).catch((cause: unknown) => {
      throw new Error(`check does not pass: ${last}`, { cause })
    })
    const verify = await hosts.backstay('verify')
    assert.equal(verify.code, 0, said(verify))
  }

  test('the distribution’s module hides the packages from dnf, and plan names them', async () => {
    const host = hosts.host('backup')
    const hidden = host.tryRun('dnf -y install postgresql15-server 2>&1')
    assert.notEqual(hidden.code, 0)
    assert.match(hidden.stdout, /filtered out by modular filtering/)
    assert.notEqual(host.tryRun('command -v apt-get').code, 0)
    const plan = await hosts.backstay('plan')
    assert.equal(plan.code, 0, said(plan))
    assert.match(plan.stdout, /install PostgreSQL 15 with dnf/)
    assert.match(plan.stdout, /package postgresql15-server/)
  })

  test('up disables the module, installs, and builds primary, standby and backup server', async (t) => {
    const up = await hosts.backstay('up', '--json')
    const { primary, problems } = json(up) as { primary: string; problems: unknown[] }
    t.diagnostic(`up of three bare hosts, PostgreSQL installed on the way: ${seconds(up)}`)
    assert.equal(primary, 'db1')
    assert.deepEqual(problems, [])
    for (const name of ['primary', 'standby'] as const) {
      const host = hosts.host(name)
      assert.match(host.run('dnf -q module list postgresql'), /13 \[x\]|13 \[d\]\[x\]/)
      assert.equal(host.run(`stat -c '%U:%G %u:%g %a' ${DATA}`), 'postgres:postgres 26:26 700\n')
      assert.match(host.run('ps -o args= -C postgres'), /^\/usr\/pgsql-15\/bin\/postgres -D/m)
    }
  })

  test('a second up finds nothing to do, the package’s own unit starts nothing', async (t) => {
    const up = await hosts.backstay('up')
    assert.equal(up.stdout, 'nothing to do\n', said(up))
    assert.equal(up.code, 0)
    t.diagnostic(`second up: ${seconds(up)}`)
    for (const name of ['primary', 'standby'] as const) {
      const started = hosts.host(name).tryRun(`systemctl start ${UNIT}`)
      assert.match(started.stderr, /Assertion failed/)
    }
  })

  test('a backup is taken, after it status, check and verify say that all is in order', async () => {
    hosts.sql('primary', 'CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 100000) g')
    json(await hosts.backstay('backup', '--json'))
    await isRight('db1')
  })

  test('the backup is restored on the standby’s host beside it, and opened', async (t) => {
    const directory = '/var/lib/pgsql/15/look'
    const words = ['latest', directory, '--server', 'db2', '--start', '6543']
    const restored = await hosts.backstay('restore', ...words)
    assert.equal(restored.code, 0, said(restored))
    t.diagnostic(`restore: ${seconds(restored)}`)
    const host = hosts.host('standby')
    const passwords = readFileSync(join(hosts.desk, '.backstay/shop/passwords'), 'utf8')
    const password = /^\*:\*:\*:postgres:(.*)$/m.exec(passwords)?.[1] ?? ''
    const ask = `PGPASSWORD=${password} psql -XAtq -h 127.0.0.1 -p 6543 -U postgres`
    assert.equal(host.run(`${ask} -c 'SELECT count(*) FROM t'`), '100000\n')
    const stop = `/usr/pgsql-15/bin/pg_ctl -D ${directory} -m fast -w stop`
    host.run(`runuser -u postgres -- ${stop}`)
  })

  test('a switchover and a reboot of all hosts leave it in order', async (t) => {
    const switched = await hosts.backstay('switchover', '--json')
    assert.equal((json(switched) as { primary: string }).primary, 'db2', said(switched))
    await isRight('db2')
    await Promise.all(HOST_NAMES.map(async (name) => hosts.host(name).shutDown()))
    const startedAtMs = performance.now()
    await Promise.all(HOST_NAMES.map(async (name) => hosts.powerOn(name)))
    await isRight('db2')
    t.diagnostic(`in order ${((performance.now() - startedAtMs) / 1000).toFixed(0)} s after power`)
    assert.equal(hosts.sql('primary', 'SELECT count(*) FROM t'), '100000')
    const up = await hosts.backstay('up')
    assert.equal(up.stdout, 'nothing to do\n', said(up))
  })
})
