/**
 * `restore --server`: the operator orders, the server's machine restores, the data goes from the backup server straight to it.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { until } from '../harness/until.ts'
import { json, said, seconds } from './rig/answers.ts'
import { startBuiltCluster } from './rig/built-cluster.ts'
import type { TestHosts } from './rig/hosts.ts'
import { whyNoHosts } from './rig/image.ts'

const DATA = '/var/lib/postgresql/15/shop'
/** A prefetch that nobody takes from ends after a minute. */
const GATES_TIMEOUT_MS = 120_000
const UNIT = 'backstay-postgres-shop-db2'

describe('restore onto a server', { skip: whyNoHosts() ?? false }, () => {
  let hosts: TestHosts
  /** A moment after the first rows and before they were deleted. */
  let moment = ''
  before(async () => {
    hosts = await startBuiltCluster()
    hosts.sql('primary', 'CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 300000) g')
    json(await hosts.backstay('backup', '--json'))
    hosts.sql('primary', 'INSERT INTO t SELECT g FROM generate_series(300001, 400000) g')
    hosts.sql('primary', 'SELECT pg_switch_wal()')
    moment = hosts.sql('primary', 'SELECT clock_timestamp()')
    hosts.sql('primary', 'DELETE FROM t WHERE id > 10')
  })
  after(async () => hosts?.[Symbol.asyncDispose]())

  /** Asks the restored copy on db2, which has the passwords of its origin. */
  const ask = (port: number, query: string): string => {
    const passwords = readFileSync(join(hosts.desk, '.backstay/shop/passwords'), 'utf8')
    const password = /^\*:\*:\*:postgres:(.*)$/m.exec(passwords)?.[1] ?? ''
    const place = `-h 127.0.0.1 -p ${port} -U postgres -d postgres`
    return hosts
      .host('standby')
      .run(`PGPASSWORD=${password} psql -XAtq ${place} -c "${query}"`)
      .trim()
  }
  const stopCopy = (directory: string): string =>
    hosts
      .host('standby')
      .run(
        `runuser -u postgres -- /usr/lib/postgresql/15/bin/pg_ctl -D ${directory} -m fast -w stop`,
      )

  test('--plan shows what would be done and changes nothing on the server', async () => {
    const plan = await hosts.backstay('restore', 'latest', '/srv/look', '--server', 'db2', '--plan')
    assert.equal(plan.code, 0, said(plan))
    assert.match(plan.stdout, /To write/)
    assert.match(plan.stdout, /is seen when it is restored/)
    assert.notEqual(hosts.host('standby').tryRun(`ls ${DATA}.ssh`).code, 0)
  })

  test('a moment is restored there, opened and recovered over the gate', async (t) => {
    const words = ['--target-time', moment, '--target-action', 'promote', '--start', '6543']
    const done = await hosts.backstay('restore', 'auto', '/srv/look', '--server', 'db2', ...words)
    assert.equal(done.code, 0, said(done))
    assert.match(done.stdout, /Restored .* on "db2".*open on port 6543, promoted/s)
    t.diagnostic(`${seconds(done)}: ${done.stdout.trim().split('\n').at(-1)}`)
    assert.equal(ask(6543, 'SELECT count(*) FROM t'), '400000')
    const owner = hosts.host('standby').run('stat -c %U:%a /srv/look /srv/look/PG_VERSION')
    assert.equal(owner, 'postgres:700\npostgres:600\n')
    assert.equal(ask(6543, 'SHOW restore_command'), '', 'what recovery was told has ended with it')
    stopCopy('/srv/look')
  })

  test('what is there is not overwritten, a running server is not touched', async () => {
    const again = await hosts.backstay('restore', 'latest', '/srv/look', '--server', 'db2')
    assert.match(again.stderr, /Cannot restore into "\/srv\/look": it is not empty/)
    const running = await hosts.backstay('restore', 'latest', '--server', 'db2', '--delta')
    assert.equal(running.code, 1)
    assert.match(running.stderr, /a server \(pid \d+\) runs there/)
    const plan = await hosts.backstay('restore', 'latest', '/srv/two', '--server', 'db2', '--plan')
    assert.match(plan.stdout, /Into +\/srv\/two/)
    assert.notEqual(hosts.host('standby').tryRun('ls /srv/two').code, 0)
    const words = [
      'restore',
      'auto',
      '/srv/two',
      '--server',
      'db2',
      '--target-time',
      '2001-01-01 00:00Z',
    ]
    const unreachable = await hosts.backstay(...words)
    assert.equal(unreachable.code, 50)
  })

  test('--delta turns the stopped server’s own directory into the backup, and a standby follows the archive', async (t) => {
    hosts.host('standby').run(`systemctl stop ${UNIT}`)
    const words = ['--delta', '--standby-mode', '--start', '6544']
    const done = await hosts.backstay('restore', 'latest', '--server', 'db2', ...words)
    assert.equal(done.code, 0, said(done))
    t.diagnostic(`${seconds(done)}: ${done.stdout.trim().split('\n').at(-1)}`)
    assert.equal(ask(6544, 'SELECT pg_is_in_recovery()'), 't')
    hosts.sql('primary', 'INSERT INTO t SELECT 1000000')
    hosts.sql('primary', 'SELECT pg_switch_wal()')
    await until('the row to come through the archive', () => {
      return ask(6544, 'SELECT count(*) FROM t WHERE id = 1000000') === '1'
    })
    stopCopy(DATA)
  })

  test('the key that reads backups writes nothing, and sees no other cluster', () => {
    const ssh = `runuser -u postgres -- ssh -F ${DATA}.ssh/config repository`
    const said = hosts.host('standby').tryRun(`${ssh} 'backup delete latest' </dev/null`)
    assert.equal(said.code, 126)
  })

  test('an operator who is killed leaves no restore behind, and the next one finishes', async () => {
    await hosts.killed(3500, 'restore', 'latest', '/srv/three', '--server', 'db2')
    await until(
      'the restore over there to end',
      () => hosts.host('standby').tryRun('pgrep -f restore-here').code !== 0,
    )
    const words = ['/srv/three', '--server', 'db2', '--wal-directory', '/srv/fast/wal']
    const done = await hosts.backstay('restore', 'latest', ...words)
    assert.equal(done.code, 0, said(done))
    const host = hosts.host('standby')
    assert.equal(host.run('readlink /srv/three/pg_wal'), '/srv/fast/wal\n')
    assert.equal(host.run('stat -c %U:%a /srv/fast/wal'), 'postgres:700\n')
  })

  test('no connection stays behind on the backup server, and with it no hold on a backup', async () => {
    await until(
      'the last gate to close',
      () => hosts.host('backup').tryRun('pgrep -f "[g]ate --repository"').code !== 0,
      GATES_TIMEOUT_MS,
    )
  })
})
