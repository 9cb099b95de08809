/** How long, and how much, a database server keeps from expiring with its key. */
import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { describe, it } from 'node:test'
import { serveRepository } from '../../../src/cli/session/serve-repository.ts'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import type { BackupId } from '../../../src/repository/backup-info.ts'
import { publishBackup } from '../../../src/repository/catalogue.ts'
import { claimCluster, type ClusterRepository } from '../../../src/repository/cluster-repository.ts'
import {
  endHold,
  holdForServer,
  renewHolds,
  useForServer,
} from '../../../src/repository/hold-for-server.ts'
import { findLocks, type FoundLock } from '../../../src/repository/lock.ts'
import { backupLockName } from '../../../src/repository/use-backup.ts'
import { MemoryStore } from '../../harness/memory-store.ts'
import { readAnswers, requestFrame } from '../../../src/store/pipe-frames.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { backup, NOW_MS, SEGMENT_BYTES } from '../backup/fixtures.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

interface Held {
  readonly cluster: ClusterRepository
  readonly ids: readonly BackupId[]
  readonly pass: (ms: number) => void
  readonly locks: (id: BackupId) => Promise<FoundLock[]>
}

async function open(): Promise<Held> {
  let nowMs = NOW_MS
  const cluster = await claimCluster({
    store: new MemoryStore(),
    name: 'shop',
    server: { systemIdentifier: '7', major: 18, segmentBytes: SEGMENT_BYTES },
    clock: { ...systemClock, now: () => nowMs },
  })
  const ids: BackupId[] = []
  for (let daysAgo = 0; daysAgo < 6; daysAgo += 1) {
    const { info } = backup(daysAgo)
    await publishBackup(cluster, info)
    ids.push(info.id)
  }
  return {
    cluster,
    ids,
    pass: (ms) => void (nowMs += ms),
    locks: async (id) => findLocks(cluster, backupLockName(id)),
  }
}

const isRefused = (error: unknown): boolean => isBackstayError(error, 'HOST_PRIVILEGE')

describe('a hold by a server’s key', () => {
  it('ends a day after that server was last heard of, whatever it asked for', async () => {
    const { cluster, ids, pass, locks } = await open()
    const id = ids[0] as BackupId
    await holdForServer(cluster, id, { server: 'db1', forMs: 30 * DAY_MS })
    pass(23 * HOUR_MS)
    assert.equal((await locks(id)).length, 1)
    pass(2 * HOUR_MS)
    assert.deepEqual(
      (await locks(id)).filter(({ liveness }) => liveness !== 'dead'),
      [],
    )
  })

  it('goes on while that server shows that it recovers, to the time it asked for', async () => {
    const { cluster, ids, pass, locks } = await open()
    const id = ids[0] as BackupId
    await holdForServer(cluster, id, { server: 'db1', forMs: 3 * DAY_MS })
    for (let hour = 1; hour < 72; hour += 1) {
      pass(HOUR_MS)
      await renewHolds(cluster, 'db2')
      await renewHolds(cluster, 'db1')
      assert.equal((await locks(id)).length, 1, `after ${hour} h`)
    }
    pass(2 * HOUR_MS)
    await renewHolds(cluster, 'db1')
    assert.equal((await locks(id)).filter(({ liveness }) => liveness !== 'dead').length, 0)
  })

  it('is one a backup and server, and ends with what it was taken for', async () => {
    const { cluster, ids, pass, locks } = await open()
    const id = ids[0] as BackupId
    const first = await holdForServer(cluster, id, { server: 'db1', forMs: HOUR_MS })
    const other = await holdForServer(cluster, id, { server: 'db2', forMs: HOUR_MS })
    for (let time = 0; time < 5; time += 1) {
      const again = await holdForServer(cluster, id, { server: 'db1', forMs: HOUR_MS })
      assert.equal(again.isFirst, false)
    }
    assert.deepEqual((await locks(id)).map((lock) => String(lock.server)).sort(), ['db1', 'db2'])
    // The first recovery is over; the last one's hold is not its own.
    await endHold(cluster, first.lock)
    assert.equal((await locks(id)).length, 2)
    await endHold(cluster, other.lock)
    assert.deepEqual(
      (await locks(id)).map(({ server }) => server),
      ['db1'],
    )
    const long = await holdForServer(cluster, ids[1] as BackupId, {
      server: 'db1',
      forMs: 3 * DAY_MS,
    })
    pass(20 * HOUR_MS)
    await renewHolds(cluster, 'db1')
    await endHold(cluster, long.lock)
    assert.deepEqual(await locks(ids[1] as BackupId), [])
  })

  it('is of few backups at a time, those in use among them; other servers have their own', async () => {
    const { cluster, ids } = await open()
    const [a, b, c, d, e] = ids as [BackupId, BackupId, BackupId, BackupId, BackupId]
    for (const id of [a, b]) await holdForServer(cluster, id, { server: 'db1', forMs: HOUR_MS })
    for (const id of [b, c, d]) await useForServer(cluster, id, 'db1')
    await assert.rejects(holdForServer(cluster, e, { server: 'db1', forMs: HOUR_MS }), isRefused)
    await assert.rejects(useForServer(cluster, e, 'db1'), isRefused)
    await holdForServer(cluster, a, { server: 'db1', forMs: HOUR_MS })
    await useForServer(cluster, e, 'db2')
    assert.deepEqual(
      (await findLocks(cluster, backupLockName(e))).map((lock) => lock.server),
      ['db2'],
    )
  })

  it('stays one, however many of its connections take and renew it at the same time', async () => {
    const { cluster, ids, locks, pass } = await open()
    const [id] = ids as [BackupId]
    const five = [1, 2, 3, 4, 5]
    const wish = { server: 'db1', forMs: 20 * DAY_MS }
    await Promise.all(five.map(async () => holdForServer(cluster, id, wish)))
    assert.equal((await locks(id)).length, 1)
    for (const _round of five) {
      pass(13 * HOUR_MS)
      await Promise.all(five.map(async () => renewHolds(cluster, 'db1')))
      assert.equal((await locks(id)).length, 1)
    }
  })

  it('is what the calls of a connection take, and a sign of life renews', async () => {
    const { cluster, ids, pass, locks } = await open()
    const id = ids[0] as BackupId
    const ask = async (...calls: (readonly [string, object])[]): Promise<void> => {
      const [stdin, stdout] = [new PassThrough(), new PassThrough()]
      const streams = { stdin, stdout, signal: new AbortController().signal }
      const served = serveRepository(streams as never, { repository: cluster, server: 'db1' })
      const answers = readAnswers(stdout)
      for (const [index, [call, given]] of calls.entries()) {
        stdin.write(requestFrame({ id: index + 1, call, with: { ...given } }))
        const { value } = await answers.next()
        assert.ok(value !== undefined && 'value' in value, JSON.stringify(value))
      }
      stdin.end()
      await served
    }
    const hold = ['hold', { backup: id, forMs: 30 * DAY_MS }] as const
    for (let time = 0; time < 3; time += 1) await ask(['use', { backup: id }], hold)
    const untilOf = async (): Promise<string[]> =>
      (await locks(id)).map((lock) => String(lock.until))
    assert.deepEqual(await untilOf(), [new Date(NOW_MS + DAY_MS).toISOString()])
    pass(20 * HOUR_MS)
    await ask(['ping', {}])
    assert.deepEqual(await untilOf(), [new Date(NOW_MS + 44 * HOUR_MS).toISOString()])
  })
})
