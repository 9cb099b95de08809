/**
 * `cloneFrom: backup`: a standby is made of the newest backup and of WAL from the repository, and then streams.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { until } from '../harness/until.ts'
import { json, said, seconds } from './rig/answers.ts'
import { startBuiltCluster } from './rig/built-cluster.ts'
import { threeServers } from './rig/cluster-file.ts'
import type { TestHosts } from './rig/hosts.ts'
import { whyNoHosts } from './rig/image.ts'

const DATA = '/var/lib/postgresql/15/shop'
const UNIT = 'backstay-postgres-shop-db2'
const HOST = 'host: 192.168.100.11 }'
const CLUSTER_FILE = threeServers().replace(HOST, HOST.replace(' }', ', cloneFrom: backup }'))

describe('a standby from a backup', { skip: whyNoHosts() ?? false }, () => {
  let hosts: TestHosts
  before(async () => {
    hosts = await startBuiltCluster()
    hosts.writeClusterFile(CLUSTER_FILE)
  })
  after(async () => hosts?.[Symbol.asyncDispose]())

  const loseTheStandby = (): void => {
    const standby = hosts.host('standby')
    standby.run(`systemctl stop ${UNIT}; rm -rf ${DATA}`)
  }
  const rowsOnStandby = (): string => hosts.sql('standby', 'SELECT count(*) FROM t')

  test('without a backup it comes from the primary, and the plan says why', async () => {
    loseTheStandby()
    const plan = await hosts.backstay('plan')
    assert.match(plan.stdout, /clone "db1" into .*from the primary: there is no backup yet/)
    const up = json(await hosts.backstay('up', '--json')) as { problems: unknown[] }
    assert.deepEqual(up.problems, [])
    assert.equal((await hosts.backstay('up')).stdout, 'nothing to do\n')
  })

  test('with one it is restored from it, catches up from the archive, and streams', async (t) => {
    hosts.sql('primary', 'CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 300000) g')
    const { id } = json(await hosts.backstay('backup', '--json')) as { id: string }
    loseTheStandby()
    hosts.sql('primary', 'INSERT INTO t SELECT g FROM generate_series(300001, 400000) g')
    // The slot is made anew and reserves WAL from now on; what came before is only in the repository.
    hosts.sql('primary', "SELECT pg_drop_replication_slot('backstay_db2')")
    hosts.sql('primary', 'SELECT pg_switch_wal()')
    const plan = await hosts.backstay('plan')
    assert.match(plan.stdout, new RegExp(`clone the newest backup .${id}. into`), said(plan))
    const up = await hosts.backstay('up', '--json')
    const { done } = json(up) as { done: { id: string }[] }
    assert.ok(done.some((step) => step.id === 'db2.clone-from-backup'))
    assert.ok(done.some((step) => step.id === 'db2.stop-fetching'))
    assert.notEqual(hosts.host('standby').tryRun(`ls ${DATA}.ssh/fetching`).code, 0)
    t.diagnostic(`up with the clone from a backup: ${seconds(up)}`)
    await until('the rows to be on the standby', () => rowsOnStandby() === '400000')
    assert.equal((await hosts.backstay('up')).stdout, 'nothing to do\n')
    assert.equal((await hosts.backstay('verify')).code, 0)
  })

  test('an operator who is killed during it leaves what the next up finishes', async () => {
    loseTheStandby()
    await hosts.killed(6000, 'up')
    await until(
      'the restore over there to end',
      () => hosts.host('standby').tryRun('pgrep -f restore-here').code !== 0,
    )
    const up = await hosts.backstay('up')
    assert.equal(up.code, 0, said(up))
    assert.equal((await hosts.backstay('verify')).code, 0)
    assert.equal(rowsOnStandby(), '400000')
  })
})
