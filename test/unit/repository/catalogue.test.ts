import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import type { ErrorCode } from '../../../src/errors/codes.ts'
import type { BackupId } from '../../../src/repository/backup-info.ts'
import {
  findBackup,
  keepBackup,
  listBackups,
  publishBackup,
  readCatalogue,
  releaseBackup,
} from '../../../src/repository/catalogue.ts'
import { claimCluster } from '../../../src/repository/cluster-repository.ts'
import { collectGarbage, discardBackup } from '../../../src/repository/garbage.ts'
import { measureUsage } from '../../../src/repository/usage.ts'
import { MemoryStore } from '../../harness/memory-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { backup } from '../backup/fixtures.ts'

const code = (wanted: ErrorCode) => (error: unknown) => isBackstayError(error, wanted)

async function open() {
  const server = { systemIdentifier: '7', major: 18, segmentBytes: 2 ** 24 }
  const store = new MemoryStore()
  return await claimCluster({ store, name: 'shop', server, clock: systemClock })
}

/** Publishes a backup that points into `packs`, with its objects. */
async function publish(
  cluster: Awaited<ReturnType<typeof open>>,
  daysAgo: number,
  packs: readonly string[],
  label: string | null = null,
): Promise<BackupId> {
  const uses = packs.map((name) => ({ name, storedBytes: 4, rawBytes: 10, liveBytes: 5 }))
  const { info } = backup(daysAgo, { packs: uses, label })
  for (const name of packs) await cluster.store.put(cluster.names.pack(name), Buffer.from('pack'))
  await cluster.store.put(cluster.names.manifest(info.id), Buffer.from('manifest'))
  await publishBackup(cluster, info)
  return info.id
}

describe('catalogue', () => {
  it('lists backups as they were published, newest first', async () => {
    const cluster = await open()
    const older = await publish(cluster, 2, [])
    const newer = await publish(cluster, 1, [])
    const backups = await listBackups(cluster)
    assert.deepEqual(
      backups.map(({ info }) => info.id),
      [newer, older],
    )
    assert.deepEqual(backups[1]?.info, backup(2).info)
  })

  it('lists nothing of a backup without backup.json', async () => {
    const cluster = await open()
    await cluster.store.put(cluster.names.manifest(backup(1).info.id), Buffer.from('x'))
    assert.deepEqual(await listBackups(cluster), [])
  })

  it('finds what an operator types', async () => {
    const cluster = await open()
    const a = await publish(cluster, 20, [], 'nightly')
    const b = await publish(cluster, 1, [], 'nightly')
    const c = await publish(cluster, 0, [])
    const found = async (wanted: string) => (await findBackup(cluster, wanted)).info.id
    assert.equal(await found('latest'), c)
    assert.equal(await found('oldest'), a)
    assert.equal(await found(a), a)
    assert.equal(await found('nightly'), b)
    assert.equal(await found(a.slice(0, 8)), a)
    await assert.rejects(found('2026112'), code('USAGE'))
    await assert.rejects(found('nope'), code('BACKUP_MISSING'))
    await assert.rejects(found('20200101T000000'), code('BACKUP_MISSING'))
  })

  it('keeps and releases', async () => {
    const cluster = await open()
    const id = await publish(cluster, 1, [])
    await keepBackup(cluster, id, { reason: 'audit', target: 'standalone' })
    const keep = (await findBackup(cluster, id)).keep
    assert.deepEqual([keep?.reason, keep?.target], ['audit', 'standalone'])
    await keepBackup(cluster, id, { reason: null, target: 'full' })
    assert.equal((await findBackup(cluster, id)).keep?.target, 'full')
    assert.equal(await releaseBackup(cluster, id), true)
    assert.equal(await releaseBackup(cluster, id), false)
    assert.equal((await findBackup(cluster, id)).keep, undefined)
    const missing = '20200101T000000' as BackupId
    await assert.rejects(
      keepBackup(cluster, missing, { reason: null, target: 'full' }),
      code('BACKUP_MISSING'),
    )
  })

  it('keeps a backup all the while it is kept otherwise', async () => {
    const cluster = await open()
    const id = await publish(cluster, 1, [])
    await keepBackup(cluster, id, { reason: 'audit', target: 'standalone' })
    const { store } = cluster
    const put = store.put.bind(store)
    const cut = (write: typeof store.put): typeof store.put => {
      return async (name, content) => {
        if (name.endsWith('/keep.json')) throw new Error('the power is gone')
        return await write(name, content)
      }
    }
    Object.assign(store, { put: cut(put), replace: cut(put) })
    await assert.rejects(keepBackup(cluster, id, { reason: null, target: 'full' }))
    assert.equal((await findBackup(cluster, id)).keep?.target, 'standalone')
  })

  it('shows the others when one backup is damaged', async () => {
    const cluster = await open()
    const bad = await publish(cluster, 2, [])
    const good = await publish(cluster, 1, [])
    await cluster.store.delete(cluster.names.backupInfo(bad))
    await cluster.store.put(cluster.names.backupInfo(bad), Buffer.from('{"format": 1}'))
    const { backups, damaged } = await readCatalogue(cluster)
    assert.deepEqual(
      backups.map(({ info }) => info.id),
      [good],
    )
    assert.deepEqual(
      damaged.map(({ id }) => id),
      [bad],
    )
    await assert.rejects(collectGarbage(cluster), code('REPOSITORY_DAMAGED'))
  })
})

describe('garbage', () => {
  it('is packs nothing points into and backups that were never finished', async () => {
    const cluster = await open()
    const [a, b] = ['20261101T000000-000001', '20261102T000000-000001']
    await publish(cluster, 2, [a])
    const going = await publish(cluster, 1, [a, b])
    const died = backup(0).info.id
    await cluster.store.put(cluster.names.manifest(died), Buffer.from('x'))
    await cluster.store.put(cluster.names.pack(`${died}-000001`), Buffer.from('x'))
    const { packs, unfinished } = await collectGarbage(cluster)
    assert.deepEqual({ packs, unfinished }, { packs: [`${died}-000001`], unfinished: [died] })
    await cluster.store.delete(cluster.names.backupInfo(going))
    const second = await collectGarbage(cluster)
    assert.deepEqual([second.packs, second.unfinished, second.bytes], [[b], [going], 4])
    assert.deepEqual(await cluster.store.listObjects(cluster.names.packs), [`${a}.pack`])
    assert.equal((await listBackups(cluster)).length, 1)
  })

  it('of a failed backup is all it wrote and nothing else', async () => {
    const cluster = await open()
    await publish(cluster, 1, ['20261101T000000-000001'])
    const failed = backup(0).info.id
    await cluster.store.put(cluster.names.manifest(failed), Buffer.from('x'))
    await cluster.store.put(cluster.names.pack(`${failed}-000002`), Buffer.from('x'))
    await discardBackup(cluster, failed)
    assert.deepEqual(await cluster.store.listObjects(cluster.names.packs), [
      '20261101T000000-000001.pack',
    ])
    assert.equal((await cluster.store.listFolders(cluster.names.backups)).length, 1)
  })
})

describe('usage', () => {
  it('counts packs, descriptions and WAL apart', async () => {
    const cluster = await open()
    await publish(cluster, 1, ['20261101T000000-000001', '20261101T000000-000002'])
    await cluster.wal.putHistory(2, Buffer.from('1\t0/3000000\tx\n'))
    const usage = await measureUsage(cluster)
    assert.deepEqual([usage.packs, usage.packBytes, usage.walObjects], [2, 8, 1])
    assert.ok(usage.walBytes > 0 && usage.backupBytes > 500)
  })
})
