/**
 * What stands in the way of the first `up` of three hosts that have PostgreSQL: a port in use, one host under two names, an operator
 * who is killed, a firewall.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { json, said, seconds } from './rig/answers.ts'
import { threeServers } from './rig/cluster-file.ts'
import { TestHosts } from './rig/hosts.ts'
import { whyNoHosts } from './rig/image.ts'

describe('an up that cannot go on', { skip: whyNoHosts() ?? false }, () => {
  let hosts: TestHosts
  before(async () => {
    hosts = await TestHosts.start({ withPostgres: true })
    hosts.writeClusterFile(threeServers())
  })
  after(async () => hosts?.[Symbol.asyncDispose]())

  test('a port that somebody else has is named with who has it, before anything is done', async () => {
    const programs = '/usr/lib/postgresql/15/bin'
    const other = hosts.host('primary')
    const postgres = (line: string): string => other.run(`runuser -u postgres -- ${line}`)
    postgres(`${programs}/initdb -A trust -D /var/lib/postgresql/other >/dev/null`)
    const start = `-w -o '-k /tmp' -l /tmp/other.log start >/dev/null`
    postgres(`${programs}/pg_ctl -D /var/lib/postgresql/other ${start}`)
    const up = await hosts.backstay('up')
    assert.equal(up.code, 1)
    assert.match(up.stderr, /Cannot use port 5432 for server "db1": "postgres" \(pid \d+\)/)
    postgres(`${programs}/pg_ctl -D /var/lib/postgresql/other stop >/dev/null`)
  })

  test('two names for one host are found out before anything is done', async () => {
    const twin = '192.168.100.77'
    const config = readFileSync(join(hosts.desk, 'ssh_config'), 'utf8')
    const alias = 'HostName 192.168.100.10\n  HostKeyAlias 192.168.100.10'
    hosts.writeFile('ssh_config', `Host ${twin}\n  ${alias}\n${config}`, 0o644)
    hosts.writeClusterFile(threeServers().replace('192.168.100.11', twin))
    for (const command of ['plan', 'up']) {
      const refused = await hosts.backstay(command)
      assert.notEqual(refused.code, 0)
      assert.match(
        said(refused),
        new RegExp(`host "${twin}" for server "db2": it is the machine of server "db1"`),
      )
    }
    assert.notEqual(hosts.host('primary').tryRun('ls /var/lib/postgresql/15/shop').code, 0)
    hosts.writeFile('ssh_config', config, 0o644)
    hosts.writeClusterFile(threeServers())
  })

  test('up that was killed again and again is finished by the next one', async () => {
    for (const afterMs of [2500, 3500, 4500, 6000]) await hosts.killed(afterMs, 'up')
    const up = await hosts.backstay('up')
    assert.equal(up.code, 0, said(up))
    const verify = await hosts.backstay('verify')
    assert.equal(verify.code, 0, said(verify))
  })

  test('a firewall between standby and primary is named as such, and up goes on when it is open', async (t) => {
    const standby = hosts.host('standby')
    standby.run('systemctl stop backstay-postgres-shop-db2; rm -rf /var/lib/postgresql/15/shop')
    standby.run('ip route add unreachable 192.168.100.10/32')
    const refused = await hosts.backstay('up')
    assert.equal(refused.code, 20, said(refused))
    assert.match(refused.stderr, /192\.168\.100\.11" gets no answer from the primary "db1"/)
    assert.match(refused.stderr, /firewall between them/)
    standby.run('ip route del unreachable 192.168.100.10/32')
    const up = await hosts.backstay('up', '--json')
    assert.equal((json(up) as { primary: string }).primary, 'db1')
    t.diagnostic(`up that clones the standby once more: ${seconds(up)}`)
  })
})
