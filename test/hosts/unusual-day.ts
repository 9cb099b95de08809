/**
 * One day on three hosts on which everything happens, one after the other, under a client that writes: after each step the cluster is
 * what it says, and no acknowledged row is missing. By hand: node --test test/hosts/unusual-day.ts. Commits wait for the standby or the backup server.
 */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { temporaryDirectory } from '../harness/temporary-directory.ts'
import { until } from '../harness/until.ts'
import { said, statusOf } from './rig/answers.ts'
import { threeServers } from './rig/cluster-file.ts'
import { HOST_NAMES } from './rig/hosts.ts'
import { whyNoHosts } from './rig/image.ts'
import { RoleHosts, SYNCHRONOUS } from './rig/role-hosts.ts'
import { upgradedPackage } from './rig/upgraded-package.ts'

const DATA = '/var/lib/postgresql/15/shop'
const REPOSITORY = '/var/lib/backstay'
const TIMEOUT_MS = 120_000
/** Of a disk that is filled: enough for `check` before. */
const ROOMY_MIB = 3000
const UPGRADES = 3
/** Every commit waits for the standby and for the backup server: what is acknowledged is in the repository. */
const BOTH_CONFIRM = { more: SYNCHRONOUS.more?.replace('standbys: 1', 'standbys: 2') ?? '' }

describe('an unusual day on three hosts', { skip: whyNoHosts() ?? false }, () => {
  let roles: RoleHosts
  before(async () => {
    roles = await RoleHosts.start(SYNCHRONOUS)
    await roles.succeeds('backup')
  })
  after(async () => roles?.[Symbol.asyncDispose]())

  const unitOf = (server: string): string => `backstay-postgres-shop-${server}`

  /** `status`, `check` and `verify` agree that all is well. */
  async function isRight(): Promise<void> {
    await roles.isInOrder()
    await until(
      'every check to be ok',
      async () => (await roles.hosts.backstay('check')).code === 0,
      TIMEOUT_MS,
    ).catch(async (cause: unknown) => {
      const check = await roles.hosts.backstay('check')
      throw new Error(`check does not pass: ${said(check)}`, { cause })
    })
    const verify = await roles.hosts.backstay('verify')
    assert.equal(verify.code, 0, said(verify))
  }

  test('the primary loses its data and is restored in place, its standby follows', async (t) => {
    const writer = await roles.startWriter()
    await roles.losesNothing(t, writer)
    await writer[Symbol.asyncDispose]()
    const host = roles.hosts.host('primary')
    host.run(`systemctl stop ${unitOf('db1')} && rm -rf ${DATA}`)
    roles.hosts.host('standby').run(`systemctl stop ${unitOf('db2')} && rm -rf ${DATA}`)
    const words = ['latest', '--server', 'db1', '--target-action', 'promote']
    const restored = await roles.hosts.backstay('restore', ...words)
    assert.equal(restored.code, 0, said(restored))
    const up = await roles.hosts.backstay('up')
    assert.equal(up.code, 0, said(up))
    await isRight()
    await using again = await roles.startWriter()
    await roles.losesNothing(t, again)
  })

  test('roles are switched, and all hosts lose their power', async (t) => {
    await using writer = await roles.startWriter()
    await roles.succeeds('switchover')
    roles.primary = 'db2'
    await isRight()
    await roles.losesNothing(t, writer)
    await Promise.all(HOST_NAMES.map(async (name) => roles.hosts.powerOff(name)))
    await Promise.all(HOST_NAMES.map(async (name) => roles.hosts.powerOn(name)))
    await isRight()
  })

  test('the disk of the backup server is full, and is freed', async (t) => {
    const vault = roles.hosts.host('backup')
    vault.run(
      [
        'systemctl stop backstay-serve-shop || systemctl stop "backstay*"',
        `mv ${REPOSITORY} ${REPOSITORY}.moved`,
        `install -d -m 755 ${REPOSITORY}`,
        `mount -t tmpfs -o size=2000M,mode=755 small ${REPOSITORY}`,
        `cp -a ${REPOSITORY}.moved/. ${REPOSITORY}/ && rm -rf ${REPOSITORY}.moved`,
      ].join('\n'),
    )
    await roles.succeeds('up')
    await isRight()
    await using writer = await roles.startWriter()
    vault.tryRun(`dd if=/dev/zero of=${REPOSITORY}/full bs=1M`)
    const filling =
      'CREATE TABLE IF NOT EXISTS much (t text); INSERT INTO much SELECT repeat(md5(g::text), 100) FROM generate_series(1, 20000) g'
    roles.hosts.sql(roles.hostOf(roles.primary), filling)
    roles.hosts.sql(roles.hostOf(roles.primary), 'SELECT pg_switch_wal()')
    await until(
      'status to say that the disk of the backup server is full',
      async () => (await statusOf(roles.hosts)).verdict !== 'ok',
      TIMEOUT_MS,
    )
    assert.notEqual((await roles.hosts.backstay('check')).code, 0)
    await roles.goesOn(writer)
    vault.run(`rm ${REPOSITORY}/full`)
    await isRight()
    await roles.losesNothing(t, writer)
  })

  test('the disk of the primary is full to the last byte, and is freed', async (t) => {
    const host = roles.hosts.host(roles.hostOf(roles.primary))
    roles.moveToSmallDisk(roles.primary, ROOMY_MIB)
    await isRight()
    await using writer = await roles.startWriter()
    host.tryRun(`dd if=/dev/zero of=${DATA}/full bs=1M`)
    await until(
      'the primary to give up',
      () => {
        roles.hosts.trySql(roles.hostOf(roles.primary), 'SELECT pg_switch_wal()')
        return !roles.serves(roles.primary)
      },
      TIMEOUT_MS,
    )
    assert.notEqual((await statusOf(roles.hosts)).verdict, 'ok')
    host.run(`rm ${DATA}/full`)
    const up = await roles.hosts.backstay('up')
    assert.equal(up.code, 0, said(up))
    await isRight()
    await roles.losesNothing(t, writer)
  })

  test('the disk of the standby is full to the last byte, and is freed', async (t) => {
    const host = roles.hosts.host(roles.hostOf(roles.standby))
    roles.moveToSmallDisk(roles.standby, ROOMY_MIB)
    await isRight()
    await using writer = await roles.startWriter()
    host.tryRun(`dd if=/dev/zero of=${DATA}/full bs=1M`)
    await until(
      'status to say so',
      async () => {
        roles.hosts.trySql(roles.hostOf(roles.primary), 'SELECT pg_switch_wal()')
        return (await statusOf(roles.hosts)).verdict !== 'ok'
      },
      TIMEOUT_MS,
    )
    await roles.goesOn(writer)
    assert.match(
      said(await roles.hosts.backstay('check')),
      new RegExp(`${roles.standby}.*server.disk`),
    )
    host.run(`rm ${DATA}/full`)
    const up = await roles.hosts.backstay('up')
    assert.equal(up.code, 0, said(up))
    await isRight()
    await roles.losesNothing(t, writer)
  })

  test('Backstay is upgraded three times, a second operator comes, a server gets another name', async (t) => {
    await using folder = temporaryDirectory()
    await using writer = await roles.startWriter()
    for (let number = 1; number <= UPGRADES; number += 1) {
      const launcher = upgradedPackage(folder.path, number)
      const up = await roles.hosts.operate([process.execPath, launcher, 'up'])
      assert.equal(up.code, 0, said(up))
    }
    const file = threeServers(SYNCHRONOUS)
    const old = `${roles.standby}:`
    roles.hosts.writeClusterFile(file.replace(old, 'berlin:'))
    const renamed = await roles.hosts.backstay('rename', roles.standby, 'berlin', '--yes')
    assert.equal(renamed.code, 0, said(renamed))
    await isRight()
    roles.hosts.writeClusterFile(file)
    const back = await roles.hosts.backstay('rename', 'berlin', roles.standby, '--yes')
    assert.equal(back.code, 0, said(back))
    await isRight()
    rmSync(join(roles.hosts.desk, '.backstay'), { recursive: true })
    const joined = await roles.hosts.backstay('join', '--yes')
    assert.equal(joined.code, 0, said(joined))
    await isRight()
    await roles.losesNothing(t, writer)
  })

  test('everything but the backup server is lost', async (t) => {
    roles.hosts.writeClusterFile(threeServers(BOTH_CONFIRM))
    await roles.succeeds('up')
    await isRight()
    await roles.succeeds('backup')
    const writer = await roles.startWriter()
    await Promise.all(
      (['primary', 'standby'] as const).map(async (name) => roles.hosts.powerOff(name)),
    )
    const acknowledged = await writer.rows()
    await writer[Symbol.asyncDispose]()
    for (const name of ['primary', 'standby'] as const) await roles.hosts.replaceHost(name)
    await roles.succeeds('restore', 'latest', '--server', 'db1')
    await roles.succeeds('up')
    roles.primary = 'db1'
    await isRight()
    const there = new Set(roles.hosts.sql('primary', 'SELECT id FROM acknowledged').split('\n'))
    const lost = acknowledged.filter((id) => !there.has(id))
    t.diagnostic(`${acknowledged.length} rows acknowledged, ${lost.length} lost`)
    assert.deepEqual(lost, [])
  })
})
