/** Forgetting a cluster: all of it goes, nothing of another, and it can be killed anywhere. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { listBackups, publishBackup } from '../../../src/repository/catalogue.ts'
import {
  claimCluster,
  type ClusterRepository,
  listClusters,
  openCluster,
} from '../../../src/repository/cluster-repository.ts'
import { forgetCluster } from '../../../src/repository/forget.ts'
import { recordLine } from '../../../src/repository/line-records.ts'
import { takeLock } from '../../../src/repository/lock.ts'
import { useBackup } from '../../../src/repository/use-backup.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { backup, SEGMENT_BYTES } from '../backup/fixtures.ts'

const SERVER = { systemIdentifier: '7', major: 18, segmentBytes: SEGMENT_BYTES }

async function fill(store: DiskStore, name: string): Promise<ClusterRepository> {
  const cluster = await claimCluster({ store, name, server: SERVER, clock: systemClock })
  for (const days of [0, 1]) {
    const { info } = backup(days)
    await store.put(cluster.names.pack(`${info.id}-000001`), Buffer.from('pack'))
    await store.put(cluster.names.manifest(info.id), Buffer.from('manifest'))
    await publishBackup(cluster, info)
  }
  await store.put(cluster.names.walSegment('000000010000000000000061'), Buffer.from('wal'))
  await store.put(`${cluster.names.spool}/000000010000000000000062`, Buffer.from('spool'))
  await recordLine(cluster, { timeline: 1, known: [1], by: 'receiver' })
  return cluster
}

async function inDirectory(test: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'backstay-forget-'))
  try {
    await test(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

describe('forgetting a cluster', () => {
  it('removes all of it and nothing of another', async () => {
    await inDirectory(async (directory) => {
      const store = new DiskStore(directory)
      const shop = await fill(store, 'shop')
      await fill(store, 'shop2')
      const gone = await forgetCluster(shop)
      assert.equal(gone.backups, 2)
      assert.deepEqual(await listClusters(store), ['shop2'])
      assert.equal(existsSync(join(directory, 'shop')), false)
      const other = await openCluster(store, 'shop2', systemClock)
      assert.equal((await listBackups(other)).length, 2)
      assert.deepEqual(readdirSync(directory).toSorted(), ['repository.json', 'shop2'])
    })
  })

  it('does nothing while anybody uses it', async () => {
    await inDirectory(async (directory) => {
      const cluster = await fill(new DiskStore(directory), 'shop')
      const { id } = backup(1).info
      const holders = [
        async () => takeLock(cluster, { name: 'receiver', mode: 'exclusive', purpose: 'WAL' }),
        async () =>
          takeLock(cluster, { name: 'catalogue', mode: 'exclusive', purpose: 'a backup' }),
        async () => useBackup(cluster, id, 'a restore'),
      ]
      for (const hold of holders) {
        await using _held = await hold()
        await assert.rejects(forgetCluster(cluster), (error) =>
          isBackstayError(error, 'REPOSITORY_LOCKED'),
        )
        assert.equal((await listBackups(cluster)).length, 2)
      }
    })
  })

  it('can die at any deletion: what is listed is whole, and the next run ends it', async () => {
    for (let died = 0; ; died += 1) {
      let isOver = false
      await inDirectory(async (directory) => {
        const store = new DiskStore(directory)
        const cluster = await fill(store, 'shop')
        const remove = store.delete.bind(store)
        let left = died
        store.delete = async (name) => {
          if (!name.includes('/locks/') && left-- === 0) throw new Error('the process died')
          return await remove(name)
        }
        isOver = await forgetCluster(cluster).then(
          () => true,
          () => false,
        )
        store.delete = remove
        if (isOver) return
        const again = await openCluster(new DiskStore(directory), 'shop', systemClock)
        for (const { info } of await listBackups(again)) {
          assert.ok(await store.size(again.names.manifest(info.id)))
          assert.ok(await store.size(again.names.pack(`${info.id}-000001`)))
        }
        await forgetCluster(again)
        assert.deepEqual(await listClusters(store), [])
        assert.equal(existsSync(join(directory, 'shop')), false)
      })
      if (isOver) return
    }
  })
})
