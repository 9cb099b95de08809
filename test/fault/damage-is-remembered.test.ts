/**
 * What verification found damaged is neither counted on nor built on, until a later verification finds it right again.
 */
import assert from 'node:assert/strict'
import { copyFile, open, readdir, rename, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { deleteBackup, expireCluster, planClusterExpiry } from '../../src/backup/expire.ts'
import { loadDamage } from '../../src/backup/known-damage.ts'
import { verifyBackup, type VerifyOptions } from '../../src/backup/verify/verify-backup.ts'
import { isBackstayError } from '../../src/errors/backstay-error.ts'
import { formatSegmentName, segmentOf } from '../../src/postgres/segment-name.ts'
import type { BackupInfo } from '../../src/repository/backup-info.ts'
import { listBackups } from '../../src/repository/catalogue.ts'
import { type ClusterRepository, openCluster } from '../../src/repository/cluster-repository.ts'
import { noteDamage } from '../../src/repository/damage-notes.ts'
import type { BackupChoice } from '../../src/restore/wish.ts'
import { loadSources } from '../../src/restore/load-sources.ts'
import { planRestore } from '../../src/restore/plan.ts'
import { DiskStore } from '../../src/store/disk-store.ts'
import { systemClock } from '../../src/util/clock.ts'
import { startPostgres, temporaryDirectory, type TestServer } from '../harness/postgres.ts'
import type { TemporaryDirectory } from '../harness/temporary-directory.ts'
import { backUp, restoreAndOpen, verifyAll } from '../integration/backup/support.ts'

const COUNT_1 = { windowMs: undefined, count: 1, minimum: 1 }

/** A damage by hand: of which file of a backup, and what becomes of it. */
type Damage = (place: Place, info: BackupInfo) => Promise<string>

let pg: TestServer

before(async () => {
  pg = await startPostgres({ major: 18, settings: { summarize_wal: 'on', wal_keep_size: '256MB' } })
  await pg.query(
    `create table t as select g as id, md5(g::text) as text from generate_series(1, 9000) g`,
  )
})

after(async () => await pg[Symbol.asyncDispose]())

/** A repository of its own. */
class Place implements AsyncDisposable {
  readonly #base: TemporaryDirectory = temporaryDirectory()
  readonly directory = join(this.#base.path, 'repository')
  readonly target = join(this.#base.path, 'restored')

  cluster(): Promise<ClusterRepository> {
    return openCluster(new DiskStore(this.directory), 'test', systemClock)
  }

  async verify(info: BackupInfo, changes: Partial<VerifyOptions> = {}): Promise<boolean> {
    const { isGood } = await verifyBackup(await this.cluster(), info.id, {
      samplePercent: 100,
      seed: 0,
      sinceMs: undefined,
      signal: AbortSignal.timeout(120_000),
      onProgress: () => {},
      ...changes,
    })
    return isGood
  }

  async ids(): Promise<string[]> {
    return (await listBackups(await this.cluster())).map(({ info }) => info.id)
  }

  /** What is known of a backup: `good`, `damaged` or `in doubt`. */
  async known({ id }: BackupInfo): Promise<string> {
    const cluster = await this.cluster()
    const infos = (await listBackups(cluster)).map(({ info }) => info)
    const damage = (await loadDamage(cluster, infos)).get(id)
    if (damage === undefined) return 'good'
    return damage.isProved ? 'damaged' : 'in doubt'
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#base[Symbol.asyncDispose]()
  }
}

async function overwriteMiddle(file: string): Promise<void> {
  await copyFile(file, `${file}.true`)
  await using handle = await open(file, 'r+')
  const { size } = await handle.stat()
  await handle.write(Buffer.from('garbage garbage garbage'), 0, 20, Math.floor(size / 2))
}

const packOf = ({ directory }: Place, info: BackupInfo): string =>
  join(directory, `test/packs/${info.packs.at(-1)?.name}.pack`)

const DAMAGES: readonly (readonly [string, Damage])[] = [
  [
    'a pack that is missing',
    async (place, info) => {
      const file = packOf(place, info)
      await rename(file, `${file}.true`)
      return file
    },
  ],
  [
    'a pack that is cut off',
    async (place, info) => {
      const file = packOf(place, info)
      await copyFile(file, `${file}.true`)
      await truncate(file, 100_000)
      return file
    },
  ],
  [
    'a pack with other bytes in it',
    async (place, info) => {
      const file = packOf(place, info)
      await overwriteMiddle(file)
      return file
    },
  ],
  [
    'WAL of its own with other bytes in it',
    async ({ directory }, { timeline, startLsn, postgres: { segmentBytes } }) => {
      const segment = segmentOf(startLsn, { timeline, segmentBytes })
      const name = `${formatSegmentName(segment, segmentBytes)}.zst`
      const wal = join(directory, 'test/wal')
      const found = (await readdir(wal, { recursive: true })).find((path) => path.endsWith(name))
      assert.ok(found)
      await overwriteMiddle(join(wal, found))
      return join(wal, found)
    },
  ],
]

const isNeeded = (error: unknown): boolean => isBackstayError(error, 'BACKUP_NEEDED')

describe('a backup that was found damaged', () => {
  for (const [name, damage] of DAMAGES) {
    it(`is not the one that retention counts on: ${name}`, async () => {
      await using place = new Place()
      const whole = await backUp(pg, place.directory, { full: true })
      const broken = await backUp(pg, place.directory, { full: true })
      const file = await damage(place, broken)
      assert.ok(!(await place.verify(broken)))
      assert.equal(await place.known(broken), 'damaged')
      assert.equal(await place.known(whole), 'good')

      const cluster = await place.cluster()
      await assert.rejects(deleteBackup(cluster, whole.id, { minimum: 1 }), isNeeded)
      await expireCluster(cluster, COUNT_1)
      assert.deepEqual(await place.ids(), [broken.id, whole.id])

      await rename(`${file}.true`, file)
      assert.ok(await place.verify(broken))
      assert.equal(await place.known(broken), 'good')
      const { expire } = await planClusterExpiry(await place.cluster(), COUNT_1)
      assert.deepEqual(
        expire.map(({ id }) => id),
        [whole.id],
      )
    })
  }

  it('is not the one that a restore takes when it may choose, which says so', async () => {
    await using place = new Place()
    const whole = await backUp(pg, place.directory, { full: true })
    const broken = await backUp(pg, place.directory, { full: true })
    const how = { timeline: 'latest', action: 'pause', standbyMode: false } as const
    const chosen = async (backup: BackupChoice) => {
      const wish = { backup, target: { type: 'immediate' }, ...how } as const
      return await planRestore(wish, await loadSources(await place.cluster()))
    }
    assert.equal((await chosen('latest')).backup.id, broken.id)
    await rm(packOf(place, broken))
    for (const backup of ['latest', 'auto'] as const) {
      const plan = await chosen(backup)
      assert.equal(plan.backup.id, whole.id)
      assert.match(plan.warnings.join(), new RegExp(`Passed over: backup ${broken.id} is damaged`))
    }
    assert.equal((await chosen(broken.id)).backup.id, broken.id)
    await rm(packOf(place, whole))
    assert.equal((await chosen('latest')).backup.id, broken.id, 'the newest when there is no other')
  })

  it('need not have been verified when a pack is missing', async () => {
    await using place = new Place()
    const whole = await backUp(pg, place.directory, { full: true })
    const broken = await backUp(pg, place.directory, { full: true })
    await rm(packOf(place, broken))
    await expireCluster(await place.cluster(), COUNT_1)
    assert.deepEqual(await place.ids(), [broken.id, whole.id])
    await deleteBackup(await place.cluster(), broken.id, { minimum: 1 })
    assert.deepEqual(await place.ids(), [whole.id])
  })

  it('stays damaged through a sample and through --since, and its note goes with it', async () => {
    await using place = new Place()
    const first = await backUp(pg, place.directory, { full: true })
    await backUp(pg, place.directory, { full: true })
    const beganMs = systemClock.now()
    assert.ok(await place.verify(first))
    await overwriteMiddle(packOf(place, first))
    assert.ok(!(await place.verify(first)))
    assert.ok(!(await place.verify(first, { samplePercent: 1, sinceMs: beganMs })))
    assert.equal(await place.known(first), 'damaged')
    const cluster = await place.cluster()
    await deleteBackup(cluster, first.id, { minimum: 1 })
    assert.deepEqual(await cluster.store.listObjects(cluster.names.damaged), [])
  })
})

describe('a backup taken after damage was found', () => {
  for (const [name, damage] of DAMAGES.slice(0, 3)) {
    it(`does not build on ${name}, and can be restored`, async () => {
      await using place = new Place()
      const broken = await backUp(pg, place.directory)
      await pg.query(`insert into t values (0, 'changed')`)
      const sharing = await backUp(pg, place.directory)
      assert.equal(sharing.reference, broken.id)
      await damage(place, broken)
      assert.ok(!(await place.verify(broken)))
      assert.notEqual(await place.known(sharing), 'good')

      const healed = await backUp(pg, place.directory)
      assert.equal(healed.type, 'full')
      assert.match(
        healed.fullBecause ?? '',
        new RegExp(`^backup ${sharing.id} (is|may be) damaged: `),
      )
      await pg.query(`insert into t values (-1, 'changed')`)
      const next = await backUp(pg, place.directory)
      assert.equal(next.reference, healed.id)
      assert.deepEqual([await place.known(healed), await place.known(next)], ['good', 'good'])

      for (const id of [broken.id, sharing.id]) {
        await deleteBackup(await place.cluster(), id, { minimum: 1 })
      }
      await verifyAll(place.directory)
      const restored = { directory: place.directory, id: next.id, target: place.target }
      await using copy = await restoreAndOpen(pg, restored)
      const sum = `select md5(string_agg(t::text, ',' order by t)) as sum from t`
      assert.deepEqual(await copy.query(sum), await pg.query(sum))
    })
  }

  it('builds on one that shares the damaged pack, once that one was found good', async () => {
    await using place = new Place()
    const broken = await backUp(pg, place.directory)
    await pg.query(`update t set text = md5(text)`)
    const sharing = await backUp(pg, place.directory)
    assert.equal(sharing.reference, broken.id)
    const shared = sharing.packs.find(({ name }) => name === broken.packs[0]?.name)
    assert.ok(shared !== undefined && shared.liveBytes < shared.rawBytes)
    // As if what is damaged were what only the older one needs.
    await noteDamage(
      await place.cluster(),
      { backup: broken.id, at: new Date().toISOString() },
      { packs: [shared.name], wal: [], isOnlyWal: false, subject: 'base/1/1', problem: 'test' },
    )
    assert.equal(await place.known(sharing), 'in doubt')
    assert.ok(await place.verify(sharing, { samplePercent: 1 }))
    assert.equal(await place.known(sharing), 'good')
    assert.equal((await backUp(pg, place.directory)).reference, sharing.id)
  })
})
