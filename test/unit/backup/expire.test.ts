import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { deleteBackup, expireCluster, planClusterExpiry } from '../../../src/backup/expire.ts'
import { formatLsn } from '../../../src/postgres/lsn.ts'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import type { ErrorCode } from '../../../src/errors/codes.ts'
import type { BackupId } from '../../../src/repository/backup-info.ts'
import {
  keepBackup,
  listBackups,
  publishBackup,
  releaseBackup,
} from '../../../src/repository/catalogue.ts'
import { claimCluster, type ClusterRepository } from '../../../src/repository/cluster-repository.ts'
import { takeLock } from '../../../src/repository/lock.ts'
import { holdBackup, useBackup } from '../../../src/repository/use-backup.ts'
import { MemoryStore } from '../../harness/memory-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { loadHeldNames } from '../../../src/wal/load-continuity.ts'
import { loadLosses } from '../../../src/wal/losses.ts'
import { backup, NOW_MS, SEGMENT_BYTES } from './fixtures.ts'

const code = (wanted: ErrorCode) => (error: unknown) => isBackstayError(error, wanted)
const COUNT_1 = { windowMs: undefined, count: 1, minimum: 1 }
const segmentName = (number: number): string =>
  `0000000100000000${number.toString(16).toUpperCase().padStart(8, '0')}`

/** Backups of 0, 1, 2, … days ago, each with a pack of its own and the pack of the one before; segments 95 to 101. */
async function open(count: number): Promise<{ cluster: ClusterRepository; ids: BackupId[] }> {
  const server = { systemIdentifier: '7', major: 18, segmentBytes: SEGMENT_BYTES }
  const store = new MemoryStore()
  const clock = { ...systemClock, now: () => NOW_MS }
  const cluster = await claimCluster({ store, name: 'shop', server, clock })
  const ids: BackupId[] = []
  for (let daysAgo = 0; daysAgo < count; daysAgo += 1) {
    const { id } = backup(daysAgo).info
    const older = backup(daysAgo + 1).info.id
    const packs = [`${id}-000001`, ...(daysAgo + 1 < count ? [`${older}-000001`] : [])]
    const uses = packs.map((name) => ({ name, storedBytes: 4, rawBytes: 4, liveBytes: 4 }))
    await store.put(cluster.names.pack(`${id}-000001`), Buffer.from('pack'))
    await store.put(cluster.names.manifest(id), Buffer.from('manifest'))
    const manifest = { storedBytes: 8, sha256: '' }
    await publishBackup(cluster, backup(daysAgo, { packs: uses, manifest }).info)
    ids.push(id)
  }
  for (let n = 95; n <= 101; n += 1) {
    await store.put(cluster.names.walSegment(segmentName(n)), Buffer.from('wal'))
    await store.put(
      cluster.names.walPartial({ segment: segmentName(n), bytes: 8192 }),
      Buffer.from('wal'),
    )
  }
  return { cluster, ids }
}

async function held(
  cluster: ClusterRepository,
): Promise<{ backups: string[]; packs: string[]; segments: string[]; partials: string[] }> {
  const segments: string[] = []
  for await (const name of cluster.wal.listSegments('00000001')) segments.push(name)
  return {
    backups: (await listBackups(cluster)).map(({ info }) => info.id),
    packs: (await cluster.store.listObjects(cluster.names.packs)).map((name) =>
      name.replace('.pack', ''),
    ),
    segments,
    partials: (await cluster.wal.listPartials('00000001')).map(({ segment }) => segment),
  }
}

const names = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, n) => segmentName(from + n))

describe('expiry', () => {
  it('removes backups, then the packs and the WAL that only they needed', async () => {
    const { cluster, ids } = await open(4)
    const [a, b] = ids
    const before = await held(cluster)
    const plan = await planClusterExpiry(cluster, COUNT_1)
    assert.deepEqual(await held(cluster), before, 'a plan changes nothing')
    const result = await expireCluster(cluster, COUNT_1)
    assert.deepEqual(result.plan, plan)
    assert.deepEqual(await held(cluster), {
      backups: [a],
      packs: [`${b}-000001`, `${a}-000001`].sort(),
      segments: names(100, 101),
      partials: names(100, 101),
    })
    assert.deepEqual(await cluster.store.listFolders(cluster.names.backups), [a])
  })

  it('removes the backup-history files of what went, and no others', async () => {
    const { cluster, ids } = await open(4)
    const histories = async () => await cluster.wal.listBackupHistories('00000001')
    const put = async (id: BackupId | undefined): Promise<string> => {
      const info = (await listBackups(cluster)).find((one) => one.info.id === id)?.info
      assert.ok(info)
      const segment = segmentName(Number(info.startLsn / BigInt(SEGMENT_BYTES)))
      const offset = Number(info.startLsn % BigInt(SEGMENT_BYTES))
      const name = `${segment}.${offset.toString(16).toUpperCase().padStart(8, '0')}.backup`
      await cluster.wal.putBackupHistory(name, Buffer.from('START WAL LOCATION'))
      return name
    }
    const [newest, , middle, oldest] = [
      await put(ids[0]),
      await put(ids[1]),
      await put(ids[2]),
      await put(ids[3]),
    ]
    const foreign = `${segmentName(95)}.00000028.backup`
    await cluster.wal.putBackupHistory(foreign, Buffer.from('START WAL LOCATION'))
    assert.equal((await histories()).length, 5)
    await deleteBackup(cluster, ids[2] as BackupId, { minimum: 1 })
    assert.ok(!(await histories()).includes(middle), 'its WAL stays, for an older one')
    assert.ok((await histories()).includes(oldest))
    await expireCluster(cluster, COUNT_1)
    assert.deepEqual(await histories(), [newest])
  })

  it('spares what is kept and what is being read', async () => {
    const { cluster, ids } = await open(4)
    const [a, b, c, d] = ids as [BackupId, BackupId, BackupId, BackupId]
    await keepBackup(cluster, d, { reason: null, target: 'standalone' })
    {
      await using _use = await useBackup(cluster, c, 'a restore')
      await expireCluster(cluster, COUNT_1)
      const now = await held(cluster)
      assert.deepEqual(now.backups, [a, c, d])
      assert.deepEqual(now.segments, [...names(97, 101)])
      assert.ok(now.packs.includes(`${b}-000001`), 'the newest backup needs it')
    }
    await expireCluster(cluster, COUNT_1)
    assert.deepEqual((await held(cluster)).backups, [a, d])
    assert.deepEqual((await held(cluster)).segments, [segmentName(97), ...names(100, 101)])
  })

  it('spares the WAL behind a backup kept for itself while a recovery from it goes on', async () => {
    const { cluster, ids } = await open(4)
    const oldest = ids[3] as BackupId
    await keepBackup(cluster, oldest, { reason: null, target: 'standalone' })
    {
      await using _hold = await holdBackup(cluster, oldest, { purpose: 'recovery', forMs: 60_000 })
      await expireCluster(cluster, COUNT_1)
      assert.deepEqual((await held(cluster)).segments, names(97, 101))
    }
    await expireCluster(cluster, COUNT_1)
    assert.deepEqual((await held(cluster)).segments, [segmentName(97), ...names(100, 101)])
  })

  it('lets nothing go that is kept after the plan was made', async () => {
    const { cluster, ids } = await open(4)
    const [, b] = ids as [BackupId, BackupId]
    const remove = cluster.store.delete.bind(cluster.store)
    let isKept = false
    cluster.store.delete = async (name) => {
      // The oldest goes first or last; whichever it is, another is kept before its turn comes.
      if (!isKept && name.endsWith('/backup.json')) {
        isKept = true
        const next = name.includes(b) ? (ids[2] as BackupId) : b
        await keepBackup(cluster, next, { reason: null, target: 'full' })
      }
      return await remove(name)
    }
    const before = await held(cluster)
    await assert.rejects(expireCluster(cluster, COUNT_1), code('BACKUP_NEEDED'))
    const now = await held(cluster)
    assert.equal((await listBackups(cluster)).filter(({ keep }) => keep !== undefined).length, 1)
    assert.deepEqual(now.segments, before.segments)
  })

  it('waits while a backup is taken', async () => {
    const { cluster } = await open(2)
    await using _lock = await takeLock(cluster, {
      name: 'catalogue',
      mode: 'exclusive',
      purpose: 'a backup',
    })
    await assert.rejects(expireCluster(cluster, COUNT_1), code('REPOSITORY_LOCKED'))
  })

  it('deletes nothing while it cannot read what a backup needs', async () => {
    const { cluster, ids } = await open(3)
    const info = cluster.names.backupInfo(ids[2] as BackupId)
    await cluster.store.delete(info)
    await cluster.store.put(info, Buffer.from('{}'))
    const before = await held(cluster)
    await assert.rejects(expireCluster(cluster, COUNT_1), code('REPOSITORY_DAMAGED'))
    await assert.rejects(
      deleteBackup(cluster, ids[1] as BackupId, { minimum: 1 }),
      code('REPOSITORY_DAMAGED'),
    )
    assert.deepEqual(await held(cluster), before)
  })
})

describe('holes that retention leaves', () => {
  async function lossesNow(cluster: ClusterRepository): Promise<string[]> {
    const { map } = await loadHeldNames(cluster)
    const backups = (await listBackups(cluster)).map(({ info }) => info)
    return (await loadLosses(cluster, map, backups)).map(
      ({ startLsn, endLsn }) => `${formatLsn(startLsn)}-${formatLsn(endLsn)}`,
    )
  }

  it('are no losses: not behind a backup kept for itself, nor before the oldest', async () => {
    const { cluster, ids } = await open(5)
    await keepBackup(cluster, ids[4] as BackupId, { reason: null, target: 'standalone' })
    await expireCluster(cluster, COUNT_1)
    assert.deepEqual((await held(cluster)).segments, [segmentName(96), ...names(100, 101)])
    assert.deepEqual(await lossesNow(cluster), [])
    await releaseBackup(cluster, ids[4] as BackupId)
    assert.deepEqual(await lossesNow(cluster), [], 'letting it go makes no loss either')
    await expireCluster(cluster, COUNT_1)
    assert.deepEqual(await lossesNow(cluster), [])
  })

  it('do not hide what is really lost, behind the same backup too', async () => {
    const { cluster, ids } = await open(5)
    await keepBackup(cluster, ids[4] as BackupId, { reason: null, target: 'standalone' })
    await cluster.wal.deleteSegment(segmentName(97))
    await cluster.wal.deletePartial({ segment: segmentName(97), bytes: 8192 })
    assert.deepEqual(await lossesNow(cluster), ['0/61000000-0/62000000'])
    await expireCluster(cluster, { windowMs: undefined, count: 2, minimum: 1 })
    // 96 kept for itself, 99 and 100 stay: what is lost between 99 and 100 is lost, 97 and 98 are let go.
    assert.deepEqual(await lossesNow(cluster), [])
    await cluster.wal.deleteSegment(segmentName(99))
    await cluster.wal.deletePartial({ segment: segmentName(99), bytes: 8192 })
    assert.deepEqual(await lossesNow(cluster), ['0/63000000-0/64000000'])
  })

  it('are let go before the WAL goes, so that dying in between raises no alarm', async () => {
    const { cluster, ids } = await open(5)
    await keepBackup(cluster, ids[4] as BackupId, { reason: null, target: 'standalone' })
    const deleteSegment = cluster.wal.deleteSegment.bind(cluster.wal)
    let left = 2
    cluster.wal.deleteSegment = async (name) => {
      if (left-- === 0) throw new Error('the process died')
      return await deleteSegment(name)
    }
    await assert.rejects(expireCluster(cluster, COUNT_1), /the process died/)
    assert.deepEqual(await lossesNow(cluster), [])
  })
})

describe('deletion', () => {
  it('removes one backup and leaves what the others need', async () => {
    const { cluster, ids } = await open(3)
    const [a, b, c] = ids as [BackupId, BackupId, BackupId]
    await deleteBackup(cluster, b, { minimum: 1 })
    const now = await held(cluster)
    assert.deepEqual(now.backups, [a, c])
    assert.deepEqual(now.packs, [a, b, c].map((id) => `${id}-000001`).sort(), 'shared packs stay')
    assert.deepEqual(now.segments, names(98, 101))
  })

  it('collects like expiry: behind a backup that is kept for itself, too', async () => {
    const { cluster, ids } = await open(5)
    const [a, b, c, d, e] = ids as [BackupId, BackupId, BackupId, BackupId, BackupId]
    await keepBackup(cluster, e, { reason: null, target: 'standalone' })
    const policy = { windowMs: undefined, count: 2, minimum: 1 }
    await deleteBackup(cluster, d, policy)
    await deleteBackup(cluster, c, policy)
    const now = await held(cluster)
    assert.deepEqual(now.backups, [a, b, e])
    assert.deepEqual(now.segments, [segmentName(96), ...names(99, 101)])
    assert.deepEqual(now.partials, now.segments)
  })

  it('refuses a kept backup, one of the minimum, and one that is being read', async () => {
    const { cluster, ids } = await open(2)
    const [a, b] = ids as [BackupId, BackupId]
    await assert.rejects(deleteBackup(cluster, a, { minimum: 2 }), code('BACKUP_NEEDED'))
    await keepBackup(cluster, b, { reason: null, target: 'full' })
    await assert.rejects(deleteBackup(cluster, b, { minimum: 1 }), code('BACKUP_NEEDED'))
    await using _use = await useBackup(cluster, a, 'a restore')
    await assert.rejects(deleteBackup(cluster, a, { minimum: 1 }), code('REPOSITORY_LOCKED'))
    await assert.rejects(
      deleteBackup(cluster, '20200101T000000' as BackupId, { minimum: 1 }),
      code('BACKUP_MISSING'),
    )
    assert.deepEqual((await held(cluster)).backups, [a, b])
  })

  it('removes a damaged backup, so that the others can be looked after again', async () => {
    const { cluster, ids } = await open(3)
    const damaged = ids[1] as BackupId
    await cluster.store.delete(cluster.names.backupInfo(damaged))
    await cluster.store.put(cluster.names.backupInfo(damaged), Buffer.from('{}'))
    const before = await held(cluster)
    await deleteBackup(cluster, damaged, { minimum: 1 })
    assert.deepEqual((await held(cluster)).segments, before.segments)
    assert.deepEqual((await cluster.store.listFolders(cluster.names.backups)).length, 2)
    await expireCluster(cluster, COUNT_1)
  })
})
