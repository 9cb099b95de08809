/**
 * Hosts as they are on bad days: keys that changed, logins and sudo refused, cables pulled, power lost, an old primary that comes back.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { until } from '../harness/until.ts'
import { said, statusOf } from './rig/answers.ts'
import { startBuiltCluster } from './rig/built-cluster.ts'
import { threeServers } from './rig/cluster-file.ts'
import { HOST_NAMES, type TestHosts } from './rig/hosts.ts'
import { whyNoHosts } from './rig/image.ts'

const BOOT_TIMEOUT_MS = 300_000

describe('hosts in trouble', { skip: whyNoHosts() ?? false }, () => {
  let hosts: TestHosts
  before(async () => {
    hosts = await startBuiltCluster()
  })
  after(async () => hosts?.[Symbol.asyncDispose]())

  test('an unknown host key is shown and refused; --accept-new-host-keys takes it', async () => {
    hosts.writeKnownHosts([])
    const refused = await hosts.backstay('up')
    assert.notEqual(refused.code, 0)
    assert.match(refused.stderr, /192\.168\.100\.10.*its host key is unknown.*SHA256:/)
    assert.match(refused.stderr, /--accept-new-host-keys/)
    const plan = await hosts.backstay('plan', '--accept-new-host-keys')
    assert.equal(plan.code, 0, said(plan))
  })

  test('a login that is refused is named with host, user and remedy', async () => {
    hosts.writeClusterFile(threeServers({ ssh: ['user: nobody', 'sudo: false'] }))
    const up = await hosts.backstay('up')
    assert.notEqual(up.code, 0)
    assert.match(up.stderr, /192\.168\.100\.10.*it refused the login/)
    assert.match(up.stderr, /authorized_keys/)
  })

  test('sudo that is refused is named, sudo with a password works', async () => {
    for (const name of HOST_NAMES) {
      hosts
        .host(name)
        .run(
          'useradd -m clerk && install -d -m 700 -o clerk ~clerk/.ssh && install -m 600 -o clerk /root/.ssh/authorized_keys ~clerk/.ssh/',
        )
    }
    hosts.writeClusterFile(threeServers({ ssh: ['user: clerk'] }))
    const refused = await hosts.backstay('up')
    assert.notEqual(refused.code, 0)
    assert.match(refused.stderr, /Cannot become root on "192\.168\.100\.10" with sudo/)
    for (const name of HOST_NAMES) {
      hosts
        .host(name)
        .run(
          "echo 'clerk:open sesame' | chpasswd; echo 'clerk ALL=(ALL) ALL' >/etc/sudoers.d/clerk",
        )
    }
    hosts.writeFile('sudo-password', 'open sesame\n', 0o600)
    hosts.writeClusterFile(threeServers({ ssh: ['user: clerk', 'sudoPassword: sudo-password'] }))
    const plan = await hosts.backstay('plan')
    assert.equal(plan.code, 0, said(plan))
    hosts.writeFile('sudo-password', 'open sesame\n', 0o644)
    const open = await hosts.backstay('up')
    assert.match(open.stderr, /its mode is 644, others may read it/)
  })

  test('an operator who is not root works through sudo with its password', async () => {
    hosts.writeFile('sudo-password', 'open sesame\n', 0o600)
    hosts.writeClusterFile(threeServers({ ssh: ['user: clerk', 'sudoPassword: sudo-password'] }))
    const up = await hosts.backstay('up')
    assert.equal(up.code, 0, said(up))
    assert.equal((await statusOf(hosts)).verdict, 'ok')
    hosts.writeClusterFile(threeServers())
  })

  test('root obeys the file of who called sudo when sudo lets him do everything, and not for one command', () => {
    const backup = hosts.host('backup')
    const lines = [
      'cluster: his',
      'ssh: { config: /home/part/ssh_config }',
      'postgres: { version: 15 }',
      'servers: { db1: { role: primary, host: elsewhere.invalid } }',
    ]
    backup.run(
      `useradd -m part && cd ~part && printf 'Host *\\n  ProxyCommand touch /home/part/ran\\n' >ssh_config && printf '${lines.join('\\n')}\\n' >backstay.yaml && chown part: *`,
    )
    const status = (rule: string) => {
      backup.run(`echo 'part ALL=(root) NOPASSWD: ${rule}' >/etc/sudoers.d/part`)
      const asked = backup.tryRun(
        'cd ~part && runuser -u part -- sudo /usr/local/bin/backstay status',
      )
      return { ...asked, ran: backup.tryRun('test -e ~part/ran').code === 0 }
    }
    const partial = status('/usr/local/bin/backstay status')
    assert.equal(partial.ran, false)
    assert.match(partial.stderr, /"part" called sudo, but may not run everything as root/)
    assert.equal(status('ALL').ran, true)
  })

  test('a host that cannot be reached does not hide the others', async () => {
    hosts.setCable('standby', 'down')
    const status = await hosts.backstay('status')
    assert.equal(status.code, 3)
    assert.match(status.stdout, /db1.*running/)
    assert.match(status.stdout, /192\.168\.100\.11/)
    hosts.setCable('standby', 'up')
    await until(
      'the standby to stream again',
      async () => (await statusOf(hosts)).verdict === 'ok',
      BOOT_TIMEOUT_MS,
    )
  })

  test('a host key that changed is an error that names the file, whatever is accepted', async () => {
    hosts.writeKnownHosts()
    hosts.host('standby').renewHostKey()
    const status = await hosts.backstay('status', '--json', '--accept-new-host-keys')
    assert.equal(status.code, 3)
    assert.match(status.stdout, /its host key is not the known one/)
    assert.match(status.stdout, /known_hosts/)
    hosts.writeKnownHosts()
  })

  test('WAL written while the backup server is down is received when it is back, without a gap', async () => {
    const backup = await hosts.backstay('backup', '--json')
    assert.equal(backup.code, 0, said(backup))
    await hosts.powerOff('backup')
    hosts.sql('primary', 'CREATE TABLE meanwhile AS SELECT g FROM generate_series(1, 200000) g')
    hosts.sql('primary', 'SELECT pg_switch_wal()')
    const lsn = hosts.sql('primary', 'SELECT pg_current_wal_lsn()')
    const { verdict, servers } = await statusOf(hosts)
    assert.equal(verdict, 'degraded', 'nobody looks after the backups')
    const states = servers.map(({ state }) => state)
    assert.deepEqual(states, ['running', 'streaming'], 'the servers do not need it')
    await hosts.powerOn('backup')
    const isThere = (flushed = '0/0'): boolean =>
      hosts.sql('primary', `SELECT '${flushed}'::pg_lsn >= '${lsn}'::pg_lsn`) === 't'
    await until(
      'the WAL receiver to catch up',
      async () => isThere((await statusOf(hosts)).backup?.receiver?.flushedLsn),
      BOOT_TIMEOUT_MS,
    )
    const gaps = await hosts.backstay('wal', 'gaps')
    assert.equal(gaps.code, 0, said(gaps))
    assert.deepEqual((await statusOf(hosts)).backup?.problems, [])
  })

  test('a cluster that lost all power comes up by itself', async () => {
    await Promise.all(HOST_NAMES.map(async (name) => hosts.powerOff(name)))
    await Promise.all(HOST_NAMES.map(async (name) => hosts.powerOn(name)))
    await until(
      'the cluster to stream',
      async () => (await statusOf(hosts)).verdict === 'ok',
      BOOT_TIMEOUT_MS,
    )
  })

  test('an old primary that comes back after a failover does not start', async () => {
    await hosts.powerOff('primary')
    hosts
      .host('standby')
      .run(
        'runuser -u postgres -- /usr/lib/postgresql/15/bin/pg_ctl promote -w -D /var/lib/postgresql/15/shop',
      )
    await hosts.powerOn('primary')
    const unit = 'backstay-postgres-shop-db1'
    await until(
      'the guard to refuse',
      () =>
        /192\.168\.100\.11 5432 is primary/.test(
          hosts.host('primary').run(`journalctl -u ${unit}`),
        ),
      BOOT_TIMEOUT_MS,
    )
    assert.notEqual(hosts.host('primary').tryRun('pgrep -x postgres').code, 0)
    const status = await statusOf(hosts)
    assert.equal(status.primary, 'db2')
  })
})
