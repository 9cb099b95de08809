/**
 * docs/how-to/everything-is-gone.md as it is typed: both database hosts are lost for good, bare new machines stand at their
 * addresses, and what is left is the backup server and the operator's state directory.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { said, seconds } from './rig/answers.ts'
import { whyNoHosts } from './rig/image.ts'
import { RoleHosts } from './rig/role-hosts.ts'

/** Every commit waits for the standby and for the backup server: what is acknowledged is in the repository. */
const BOTH_CONFIRM = {
  more: '  synchronous: true\nreplication: { synchronous: { standbys: 2 } }\n',
}

describe('all database hosts are lost', { skip: whyNoHosts() ?? false }, () => {
  let roles: RoleHosts
  let acknowledged: readonly string[] = []
  before(async () => {
    roles = await RoleHosts.start(BOTH_CONFIRM)
    const { hosts } = roles
    assert.equal((await hosts.backstay('backup')).code, 0)
    await using writer = await roles.startWriter()
    await roles.goesOn(writer)
    await Promise.all([hosts.powerOff('primary'), hosts.powerOff('standby')])
    acknowledged = await writer.rows()
    for (const host of ['primary', 'standby'] as const) await hosts.replaceHost(host)
  })
  after(async () => roles?.[Symbol.asyncDispose]())

  test('up refuses to begin with an empty cluster, and --plan of the restore tells what the bare host is given', async () => {
    const { hosts } = roles
    const refused = await hosts.backstay('up')
    assert.match(refused.stderr, /no server holds its data any more/)
    const plan = await hosts.backstay('restore', 'latest', '--server', 'db1', '--plan')
    assert.equal(plan.code, 0, said(plan))
    assert.match(plan.stdout, /"db1" is bare: install PostgreSQL 15 with apt-get, first/)
    assert.notEqual(hosts.host('primary').tryRun('id postgres').code, 0)
  })

  test('one restore onto the bare host and up: every acknowledged row is there, and a standby follows', async (t) => {
    const { hosts } = roles
    const restored = await hosts.backstay('restore', 'latest', '--server', 'db1')
    assert.equal(restored.code, 0, said(restored))
    t.diagnostic(`restore ${seconds(restored)}`)
    const up = await hosts.backstay('up')
    assert.equal(up.code, 0, said(up))
    t.diagnostic(`up ${seconds(up)}`)
    assert.match(said(up), /db1: wait for the end of its recovery/)
    assert.match(said(up), /db2: wait until it streams from "db1"/)
    const there = new Set(hosts.sql('primary', 'SELECT id FROM acknowledged').split('\n'))
    t.diagnostic(`${acknowledged.length} rows acknowledged`)
    assert.deepEqual(
      acknowledged.filter((id) => !there.has(id)),
      [],
    )
    await roles.isInOrder()
    assert.equal(hosts.sql('standby', 'SELECT pg_is_in_recovery()'), 't')
    const again = await hosts.backstay('up')
    assert.match(again.stdout, /nothing to do/)
  })

  test('the new cluster is backed up as the old one was', async () => {
    const backup = await roles.hosts.backstay('backup')
    assert.equal(backup.code, 0, said(backup))
  })
})
