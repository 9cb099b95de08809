/**
 * Promises 1 to 3: whatever moment the power goes, what was reported as written is there, and what is visible is whole.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { backupIdAt } from '../../src/repository/backup-info.ts'
import { listBackups, publishBackup, readCatalogue } from '../../src/repository/catalogue.ts'
import { claimCluster, type ClusterRepository } from '../../src/repository/cluster-repository.ts'
import { collectGarbage } from '../../src/repository/garbage.ts'
import { takeLock } from '../../src/repository/lock.ts'
import { ManifestReader } from '../../src/repository/manifest-reader.ts'
import { ManifestWriter } from '../../src/repository/manifest-writer.ts'
import { PackReader } from '../../src/repository/pack-reader.ts'
import { PackWriter } from '../../src/repository/pack-writer.ts'
import { compressFrame } from '../../src/repository/codec.ts'
import { DiskStore } from '../../src/store/disk-store.ts'
import { systemClock } from '../../src/util/clock.ts'
import { backup, DAY_MS, NOW_MS } from '../unit/backup/fixtures.ts'
import { PowerCut, PowerCutFileSystem } from './power-cut-file-system.ts'

const SEGMENT_BYTES = 1024 * 1024

/** The same dice for the same seed. */
function dice(seed: number): () => boolean {
  let state = seed + 1
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return (state >>> 16) % 2 === 0
  }
}

function openCluster(files: PowerCutFileSystem): Promise<ClusterRepository> {
  const server = { systemIdentifier: '7', major: 18, segmentBytes: SEGMENT_BYTES }
  const store = new DiskStore('/repository', files)
  return claimCluster({ store, name: 'shop', server, clock: systemClock })
}

/** Runs `work` with the power going before each of its operations in turn; `judge` looks at what is left, several times. */
async function cutEverywhere<T>(
  work: (files: PowerCutFileSystem, done: T[]) => Promise<void>,
  judge: (files: PowerCutFileSystem, done: readonly T[]) => Promise<void>,
): Promise<number> {
  for (let cut = 0; ; cut += 1) {
    const files = new PowerCutFileSystem(cut)
    const done: T[] = []
    const finished = await work(files, done).then(
      () => true,
      (error: unknown) => {
        // Ours wrap it as their cause.
        const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
        const suppressed = error instanceof SuppressedError
        if (!suppressed && !(cause instanceof PowerCut)) throw error
        return false
      },
    )
    for (let seed = 0; seed < 8; seed += 1) {
      await judge(files.afterPowerCut(dice(cut * 8 + seed)), done)
    }
    if (finished) return cut
  }
}

describe('a power cut', () => {
  it('at any moment loses no object that was reported as stored, and leaves none half there', async () => {
    const cuts = await cutEverywhere<string>(
      async (files, done) => {
        const store = new DiskStore('/repository', files)
        for (const name of ['a', 'deep/er/b', 'deep/c']) {
          await store.put(name, Buffer.from(`content of ${name}`))
          done.push(name)
        }
        await store.put('a', Buffer.from('other'))
        await store.delete('deep/c')
        done.splice(2)
      },
      async (files, done) => {
        const store = new DiskStore('/repository', files)
        for (const name of done.filter((one) => one !== 'deep/c')) {
          assert.equal((await store.get(name, 2 ** 20))?.toString(), `content of ${name}`)
        }
        for await (const name of store.list('')) {
          assert.equal((await store.get(name, 2 ** 20))?.toString(), `content of ${name}`)
        }
      },
    )
    assert.ok(cuts > 30)
  })

  it('loses no WAL segment that was reported as stored', async () => {
    const names = [
      '000000010000000000000001',
      '000000010000000000000002',
      '000000020000000000000002',
    ]
    const segment = (name: string) =>
      Buffer.alloc(SEGMENT_BYTES, Number(name.slice(7, 8)) + Number(name.slice(-1)))
    await cutEverywhere<string>(
      async (files, done) => {
        const cluster = await openCluster(files)
        for (const name of names) {
          await cluster.wal.putSegment(name, segment(name))
          done.push(name)
        }
      },
      async (files, done) => {
        const { wal } = await openCluster(files)
        for (const name of names) {
          const content = await wal.getSegment(name)
          if (done.includes(name)) assert.ok(content)
          if (content !== undefined) assert.ok(content.equals(segment(name)))
        }
      },
    )
  })

  it('during backups and their deletion never lists one whose pages are not all there', async () => {
    const content = Buffer.alloc(8192, 7)
    const take = async (cluster: ClusterRepository, daysAgo: number): Promise<void> => {
      const { store, names } = cluster
      await using _lock = await takeLock(cluster, {
        name: 'catalogue',
        mode: 'exclusive',
        purpose: 'test',
      })
      await collectGarbage(cluster)
      const id = backupIdAt(NOW_MS - daysAgo * DAY_MS - 60_000)
      await using packs = new PackWriter({ store, names, cluster: 'shop', id })
      await using manifest = await ManifestWriter.create(store, names, id)
      const frame = compressFrame(content)
      const [place] = await packs.append([{ frame, rawBytes: content.length }])
      assert.ok(place)
      const unit = { ...place, storedBytes: frame.length, rawBytes: content.length }
      const extents = [{ unit, unitOffset: 0, length: content.length }]
      const facts = { kind: 'file', mode: 0o600, modifiedAtMs: 0, crc32c: undefined } as const
      await manifest.add({ ...facts, path: 'f', sizeBytes: content.length, extents })
      const [pack] = await packs.finish()
      await manifest.finish()
      const uses = pack === undefined ? [] : [{ ...pack, liveBytes: content.length }]
      await publishBackup(cluster, backup(daysAgo, { id, packs: uses }).info)
    }
    await cutEverywhere<string>(
      async (files, done) => {
        const cluster = await openCluster(files)
        for (const daysAgo of [3, 2]) {
          await take(cluster, daysAgo)
          done.push(backup(daysAgo).info.id)
        }
        const [first] = done.splice(0, 1)
        await cluster.store.delete(cluster.names.backupInfo(first as never))
        await collectGarbage(cluster)
      },
      async (files, done) => {
        const cluster = await openCluster(files)
        const { backups, damaged } = await readCatalogue(cluster)
        assert.deepEqual(damaged, [])
        for (const id of done)
          assert.ok(
            backups.some(({ info }) => info.id === id),
            'published stays',
          )
        for (const { info } of backups) await readAll(cluster, info.id)
        // After a real power cut the host's boot id is another one, and the lock is dead.
        for await (const lock of cluster.store.list(cluster.names.locks))
          await cluster.store.delete(lock)
        // The next run removes everything that does not belong to a listed backup.
        await take(cluster, 1)
        const listed = await listBackups(cluster)
        const packs = await cluster.store.listObjects(cluster.names.packs)
        assert.deepEqual(
          packs,
          listed.flatMap(({ info }) => info.packs.map(({ name }) => `${name}.pack`)).sort(),
        )
        const objects: string[] = []
        for await (const name of cluster.store.list(cluster.names.backups)) objects.push(name)
        assert.equal(objects.length, 2 * listed.length)
      },
    )

    async function readAll(cluster: ClusterRepository, id: string): Promise<void> {
      const { store, names } = cluster
      await using manifest = await ManifestReader.open(store, names.manifest(id as never))
      await using packs = new PackReader(store, names)
      for await (const entry of manifest.entries()) {
        if (entry.kind !== 'file') continue
        for (const extent of entry.extents) assert.ok((await packs.extent(extent)).equals(content))
      }
    }
  })
})
