/**
 * The disk of a standby is full: what `up`, `check` and `status` say, how soon, and that the standby is back once there is room.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { until } from '../harness/until.ts'
import { comesInOrder, said, seconds, statusOf } from './rig/answers.ts'
import { startBuiltCluster } from './rig/built-cluster.ts'
import type { Operated, TestHosts } from './rig/hosts.ts'
import { whyNoHosts } from './rig/image.ts'

const DATA = '/var/lib/postgresql/15/shop'
const UNIT = 'backstay-postgres-shop-db2'
const SETTLE_TIMEOUT_MS = 180_000
/** pg_ctl alone would wait for 30 minutes. */
const SOON_MS = 90_000
const REMEDY = `Free space in "${DATA}", or make its file system larger, then run backstay up.`

interface Finding {
  readonly check: string
  readonly server?: string
  readonly status: string
  readonly found: string
  readonly remedy?: string
}

describe('a standby whose disk is full', { skip: whyNoHosts() ?? false }, () => {
  let hosts: TestHosts
  before(async () => {
    hosts = await startBuiltCluster()
    const owner = 'uid=$(id -u postgres),gid=$(id -g postgres)'
    const lines = [
      `systemctl stop ${UNIT}`,
      `mv ${DATA} ${DATA}.moved && mkdir ${DATA}`,
      `mount -t tmpfs -o size=300M,mode=700,${owner} small ${DATA}`,
      `cp -a ${DATA}.moved/. ${DATA}/`,
      `systemctl start ${UNIT}`,
    ]
    standby(lines.join(' && '))
    await comesInOrder(hosts, 'db1')
  })
  after(async () => hosts?.[Symbol.asyncDispose]())

  const standby = (line: string): string => hosts.host('standby').run(line)
  /** Whole blocks, then what is left. */
  const fill = (): void => {
    for (const block of ['1M', '4k']) {
      hosts.host('standby').tryRun(`dd if=/dev/zero of=${DATA}/full.${block} bs=${block}`)
    }
  }
  const writeOnPrimary = (): void => {
    hosts.sql('primary', 'CREATE TABLE much AS SELECT g FROM generate_series(1, 500000) g')
    hosts.sql('primary', 'DROP TABLE much; SELECT pg_switch_wal()')
  }
  const toldIn = async (): Promise<string> => (await hosts.backstay('status')).stdout
  const troublesOf = async (): Promise<readonly Finding[]> => {
    const { stdout } = await hosts.backstay('check', '--json')
    const { findings } = JSON.parse(stdout) as { findings: readonly Finding[] }
    return findings.filter(({ server, status }) => server === 'db2' && status === 'fail')
  }
  const assertSoon = (up: Operated, what: RegExp): void => {
    assert.equal(up.code, 1, said(up))
    assert.match(up.stderr, what)
    assert.match(
      up.stderr,
      /there is no room on "192\.168\.100\.11": [\d.]+ k?M?B free in "\/var\/lib\/postgresql\/15\/shop"/,
    )
    assert.ok(up.stderr.includes(REMEDY), up.stderr)
    assert.ok(up.elapsedMs < SOON_MS, seconds(up))
  }
  const assertNamed = async (): Promise<void> => {
    assert.match(
      await toldIn(),
      /db2: no room for WAL, [\d.]+ k?M?B free in "\/var\/lib\/postgresql\/15\/shop"/,
    )
    const troubles = await troublesOf()
    const names = troubles.map(({ check }) => check)
    assert.ok(names.includes('replication.attached') && names.includes('server.disk'), names.join())
    for (const { check, found, remedy = '' } of troubles) {
      assert.doesNotMatch(`${found} ${remedy}`, /\bwait/i, check)
      if (check === 'replication.attached' || check === 'server.answers')
        assert.equal(remedy, REMEDY)
    }
  }

  test('while it runs: status and check name the full disk, up does so soon and names directory, free bytes and remedy', async (t) => {
    fill()
    writeOnPrimary()
    const isNamed = async (): Promise<boolean> => /no room for WAL/.test(await toldIn())
    await until('the standby to find no room', isNamed, SETTLE_TIMEOUT_MS)
    await assertNamed()
    const up = await hosts.backstay('up')
    assertSoon(up, /Cannot start "db2"|Standby "db2" cannot follow "db1"|"db2" does not come up/)
    t.diagnostic(`up: ${seconds(up)}`)
  })

  test('once there is room, up brings it back', async () => {
    standby(`rm -f ${DATA}/full.*`)
    const up = await hosts.backstay('up')
    assert.equal(up.code, 0, said(up))
    await comesInOrder(hosts, 'db1')
  })

  test('stopped, and full to the last byte, it cannot even be started: up says why', async () => {
    standby(`systemctl stop ${UNIT}`)
    fill()
    await assertNamed()
    assertSoon(await hosts.backstay('up'), /Cannot start "db2"/)
  })

  test('one that needs WAL to come up, and has no room for it: up does not wait for it, nor does the next', async (t) => {
    standby(`rm -f ${DATA}/full.* ${DATA}/pg_wal/0*`)
    fill()
    // Room for its pid and its log.
    standby(`truncate -s -2M ${DATA}/full.1M`)
    const up = await hosts.backstay('up')
    assertSoon(up, /Server "db2" does not come up.*its log says: .*No space left on device/)
    assert.match(up.stderr, /comes up by itself once there is room/)
    await assertNamed()
    const again = await hosts.backstay('up')
    assert.equal(again.code, 3, said(again))
    assert.match(said(again), /Server "db2" has no room for WAL/)
    assert.ok(again.elapsedMs < SOON_MS, seconds(again))
    t.diagnostic(`up: ${seconds(up)}, and again: ${seconds(again)}`)
  })

  test('and that one comes back, too', async () => {
    standby(`rm -f ${DATA}/full.*`)
    const up = await hosts.backstay('up')
    assert.equal(up.code, 0, said(up))
    await comesInOrder(hosts, 'db1')
    assert.equal((await statusOf(hosts)).verdict, 'ok')
  })
})
