/**
 * `replication.archive: backup`: database servers archive into the repository over ssh, with keys that open nothing else.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { until } from '../harness/until.ts'
import { json, said } from './rig/answers.ts'
import { startBuiltCluster } from './rig/built-cluster.ts'
import { threeServers } from './rig/cluster-file.ts'
import type { TestHosts } from './rig/hosts.ts'
import { whyNoHosts } from './rig/image.ts'

const DATA = '/var/lib/postgresql/15/shop'
const ARCHIVE_TIMEOUT_MS = 120_000
/** No receiver brings the WAL: what is in the repository came through archive_command. */
const STOP_RECEIVER = 'systemctl stop backstay-shop'

describe('archive over ssh', { skip: whyNoHosts() ?? false }, () => {
  let hosts: TestHosts
  before(async () => {
    hosts = await startBuiltCluster()
    hosts.writeClusterFile(threeServers({ more: 'replication: { archive: backup }\n' }))
  })
  after(async () => hosts?.[Symbol.asyncDispose]())

  /** Asks the gate, with the key of a server, as its OS user. */
  const ask = (words: string, input = '/dev/null') =>
    hosts
      .host('primary')
      .tryRun(`runuser -u postgres -- ssh -F ${DATA}.ssh/config repository ${words} < ${input}`)

  /** Writes something, finishes the segment, and says its name. */
  const finishSegment = (): string => {
    hosts.sql('primary', 'CREATE TABLE IF NOT EXISTS t AS SELECT 1; INSERT INTO t VALUES (2)')
    return hosts.sql('primary', 'SELECT pg_walfile_name(pg_switch_wal())')
  }
  const isArchived = async (segment: string): Promise<void> => {
    await until(
      `${segment} to be archived`,
      () => {
        const last = hosts.sql('primary', 'SELECT last_archived_wal FROM pg_stat_archiver')
        return last >= segment
      },
      ARCHIVE_TIMEOUT_MS,
    )
    const held = hosts.host('backup').run(`find /var/lib/backstay/shop/wal -name '${segment}*'`)
    assert.match(held, new RegExp(`${segment}.zst`))
  }

  test('up makes the keys and lets them in; a second up finds nothing to do', async (t) => {
    const plan = await hosts.backstay('plan')
    assert.match(plan.stdout, /let it into the repository on "vault" over ssh/)
    const up = json(await hosts.backstay('up', '--json')) as { problems: unknown[] }
    assert.deepEqual(up.problems, [])
    assert.equal((await hosts.backstay('up')).stdout, 'nothing to do\n')
    for (const name of ['primary', 'standby'] as const) {
      const modes = hosts.host(name).run(`stat -c '%a %U' ${DATA}.ssh ${DATA}.ssh/id`)
      assert.equal(modes, '700 postgres\n600 postgres\n')
    }
    t.diagnostic(hosts.sql('primary', 'SHOW archive_command'))
  })

  test('segments arrive, and are what their names say', async (t) => {
    hosts.host('backup').run(STOP_RECEIVER)
    const segment = finishSegment()
    await isArchived(segment)
    const read = hosts.host('primary')
    const sums = read.run(
      `cd ${DATA} && runuser -u postgres -- ssh -F ${DATA}.ssh/config repository wal get ${segment} | sha256sum; sha256sum < pg_wal/${segment}`,
    )
    const [got, own] = sums.split('\n')
    assert.equal(got, own)
    const startedAtMs = performance.now()
    const line = `cd ${DATA} && runuser -u postgres -- sh -c 'ssh -F ${DATA}.ssh/config repository "wal push ${segment} $(wc -c < pg_wal/${segment})" < pg_wal/${segment}'`
    assert.equal(read.tryRun(line).code, 0, 'the same content again is fine')
    t.diagnostic(`one push: ${Math.round(performance.now() - startedAtMs)} ms`)
  })

  test('other content under the same name, and half a file, are refused', () => {
    const segment = hosts.sql('primary', 'SELECT last_archived_wal FROM pg_stat_archiver')
    // Its last byte is after the switch, where nothing is judged: both are right, and not the same.
    hosts
      .host('primary')
      .run(
        `install -o postgres ${DATA}/pg_wal/${segment} /tmp/other && printf x | dd of=/tmp/other bs=1 seek=16777215 conv=notrunc`,
      )
    const wrong = ask(`wal push ${segment} 16777216`, '/tmp/other')
    assert.equal(wrong.code, 126)
    assert.match(wrong.stderr, /with other content/)
    hosts.host('primary').run('head -c 100 /tmp/other >/tmp/half; chmod a+r /tmp/half')
    const label = `${segment}.00000028.backup`
    const half = ask(`wal push ${label} 200`, '/tmp/half')
    assert.equal(half.code, 126)
    assert.match(half.stderr, /100 bytes came, 200 were announced/)
    assert.equal(ask(`wal get ${label}`).code, 1)
  })

  test('the key opens nothing but the gate', () => {
    for (const words of ['id', '"wal get x; id"', '"wal list"', '']) {
      const { code, stdout, stderr } = ask(words)
      assert.equal(code, 126, words)
      assert.equal(stdout, '', words)
      assert.match(stderr, /This key may not ask for/)
    }
    const forward = ask('-L 15432:localhost:22 hello')
    assert.doesNotMatch(forward.stdout, /uid=/)
  })

  test('while the backup server is down archiving fails and says so; afterwards everything arrives', async () => {
    hosts.setCable('backup', 'down')
    const segments = [finishSegment(), finishSegment()]
    await until(
      'archiving to fail',
      () => hosts.sql('primary', 'SELECT failed_count FROM pg_stat_archiver') !== '0',
      ARCHIVE_TIMEOUT_MS,
    )
    hosts.setCable('backup', 'up')
    await Promise.all([finishSegment(), ...segments].map(isArchived))
  })

  test('what drifted is mended: a lost key, a line that was taken out, a new host key', async () => {
    hosts.host('primary').run(`rm ${DATA}.ssh/id`)
    hosts.host('backup').run("sed -i '/shop.db2/d' /var/lib/backstay/.ssh/authorized_keys")
    const up = json(await hosts.backstay('up', '--json')) as { done: { id: string }[] }
    const ids = up.done.map(({ id }) => id).filter((id) => id.endsWith('.way'))
    assert.deepEqual(ids, ['db1.way', 'db2.way'])
    const lines = hosts.host('backup').run('cat /var/lib/backstay/.ssh/authorized_keys')
    assert.equal(lines.trim().split('\n').length, 2)
    hosts.host('backup').run(STOP_RECEIVER)
    await isArchived(finishSegment())
  })

  test('check is content, and down --destroy takes the keys away', async () => {
    const check = await hosts.backstay('check')
    assert.doesNotMatch(check.stdout, /^fail +archiving/m, said(check))
    const down = await hosts.backstay('down', '--destroy', '--yes')
    assert.equal(down.code, 0, said(down))
    assert.equal(hosts.host('primary').tryRun(`ls -d ${DATA}.ssh`).stdout, '')
    assert.equal(hosts.host('backup').run('cat /var/lib/backstay/.ssh/authorized_keys'), '')
  })
})
