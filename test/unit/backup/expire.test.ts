import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { deleteBackup, expireCluster, planClusterExpiry } from '../../../src/backup/expire.ts'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import type { ErrorCode } from '../../../src/errors/codes.ts'
import type { BackupId } from '../../../src/repository/backup-info.ts'
import { keepBackup, listBackups, publishBackup } from '../../../src/repository/catalogue.ts'
import { claimCluster, type ClusterRepository } from '../../../src/repository/cluster-repository.ts'
import { takeLock } from '../../../src/repository/lock.ts'
import { useBackup } from '../../../src/repository/use-backup.ts'
import { MemoryStore } from '../../../src/store/memory-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
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
    await publishBackup(cluster, backup(daysAgo, { packs: uses }).info)
    ids.push(id)
  }
  for (let n = 95; n <= 101; n += 1) {
    await store.put(cluster.names.walSegment(segmentName(n)), Buffer.from('wal'))
    await store.put(cluster.names.walPartial(segmentName(n), 8192), Buffer.from('wal'))
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
