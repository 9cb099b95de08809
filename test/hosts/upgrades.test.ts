/**
 * Backstay is upgraded three times: the version that everything was installed with is gone by then, and what names it from outside
 * goes on: archive_command, the programs with Barman's names, cron lines. At the end the backup part leaves the cluster file.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { temporaryDirectory } from '../harness/temporary-directory.ts'
import { until } from '../harness/until.ts'
import { json, said } from './rig/answers.ts'
import { threeServers } from './rig/cluster-file.ts'
import { TestHosts } from './rig/hosts.ts'
import { whyNoHosts } from './rig/image.ts'
import { upgradedPackage } from './rig/upgraded-package.ts'

const NAMES = ['barman', 'barman-wal-archive', 'barman-wal-restore'] as const
const UPGRADES = 3
/** ssh and a program at the other end, on a machine that has other work as well. */
const ARCHIVE_TIMEOUT_MS = 120_000

describe('three upgrades of Backstay', { skip: whyNoHosts() ?? false }, () => {
  const work = temporaryDirectory()
  let hosts: TestHosts
  let first = ''
  before(async () => {
    hosts = await TestHosts.start({ withPostgres: true })
    const file = threeServers({ more: 'replication: { archive: backup }\n' })
    hosts.writeClusterFile(file.replace(/^ {2}db2: .*\n/m, ''))
    json(await hosts.backstay('up', '--json'))
    const vault = hosts.host('backup')
    first = vault.run('basename $(readlink /opt/backstay/current)').trim()
    vault.run('useradd --system --create-home --shell /bin/bash barman')
    vault.run('/usr/local/bin/backstay install-names /usr/local/bin')
    // As an earlier Backstay wrote it.
    vault.run(
      `sed -i 's#/opt/backstay/current/#/opt/backstay/${first}/#g' /usr/local/bin/barman-wal-restore`,
    )
  })
  after(async () => {
    await hosts?.[Symbol.asyncDispose]()
    await work[Symbol.asyncDispose]()
  })

  test('the names that were installed go through the version in use', () => {
    const text = hosts.host('backup').run('cat /usr/local/bin/barman')
    assert.match(
      text,
      /exec \/opt\/backstay\/current\/node \/opt\/backstay\/current\/bin\/barman\.js/,
    )
  })

  test('the first version goes, and names, cron and archive_command go on', async () => {
    const vault = hosts.host('backup')
    for (let number = 1; number <= UPGRADES; number += 1) {
      const up = await hosts.operate([process.execPath, upgradedPackage(work.path, number), 'up'])
      assert.equal(up.code, 0, said(up))
    }
    assert.doesNotMatch(vault.run('ls /opt/backstay'), new RegExp(first))
    for (const name of NAMES) {
      const { code, stderr } = vault.tryRun(`runuser -l barman -c '${name} --version'`)
      assert.equal(code, 0, `${name}: ${stderr}`)
    }
    const failed = hosts.sql('primary', 'SELECT failed_count FROM pg_stat_archiver')
    const archived = Number(hosts.sql('primary', 'SELECT archived_count FROM pg_stat_archiver'))
    hosts.sql('primary', 'CREATE TABLE t AS SELECT 1')
    hosts.sql('primary', 'SELECT pg_switch_wal()')
    await until(
      'the segment to be archived',
      () => Number(hosts.sql('primary', 'SELECT archived_count FROM pg_stat_archiver')) > archived,
      ARCHIVE_TIMEOUT_MS,
    )
    assert.equal(hosts.sql('primary', 'SELECT failed_count FROM pg_stat_archiver'), failed)
  })

  test('the backup part that left the file goes with service, slot and logins; the repository stays', async () => {
    const [servers = ''] = threeServers()
      .replace(/^ {2}db2: .*\n/m, '')
      .split('backup:\n')
    hosts.writeClusterFile(servers)
    const plan = await hosts.backstay('plan')
    assert.match(plan.stdout, /Backup server "vault" is not in the cluster file any more/)
    const done = await hosts.backstay('forget', 'vault', '--yes')
    assert.equal(done.code, 0, said(done))
    assert.equal(hosts.sql('primary', 'SELECT count(*) FROM pg_replication_slots'), '0')
    const logins =
      "SELECT count(*) FROM pg_roles WHERE rolname ~ 'backstay_(backup|stream)' AND rolcanlogin"
    assert.equal(hosts.sql('primary', logins), '0')
    const vault = hosts.host('backup')
    assert.notEqual(vault.tryRun('test -e /etc/systemd/system/backstay-shop.service').code, 0)
    vault.run('test -f /var/lib/backstay/repository.json')
    json(await hosts.backstay('up', '--json'))
    assert.match((await hosts.backstay('plan')).stdout, /nothing to do/)
  })
})
