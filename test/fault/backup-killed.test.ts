/**
 * A backup or expiry that is killed at any point leaves nothing listed that is not whole, and nothing leaked after the next run.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { BACKUP_STEPS } from '../../src/backup/events.ts'
import { verifyBackup } from '../../src/backup/verify/verify-backup.ts'
import { listBackups, readCatalogue } from '../../src/repository/catalogue.ts'
import { type ClusterRepository, openCluster } from '../../src/repository/cluster-repository.ts'
import { isBackstayError } from '../../src/errors/backstay-error.ts'
import { DiskStore } from '../../src/store/disk-store.ts'
import { systemClock } from '../../src/util/clock.ts'
import { startPostgres, temporaryDirectory, type TestServer } from '../harness/postgres.ts'
import { backUp } from '../integration/backup/support.ts'
import type { ChildWish } from './backup-child.ts'

const run = promisify(execFile)

/** Runs the child; false when it was killed. */
async function child(
  pg: TestServer,
  wish: Omit<ChildWish, 'connection'>,
): Promise<string | undefined> {
  const file = join(import.meta.dirname, 'backup-child.ts')
  const argument = JSON.stringify({ ...wish, connection: pg.connection })
  try {
    return (await run(process.execPath, [file, argument])).stdout
  } catch (error) {
    const { signal, stderr } = error as { signal?: string; stderr?: string }
    if (signal !== 'SIGKILL') throw new Error(`the child failed: ${stderr}`, { cause: error })
    return undefined
  }
}

async function open(directory: string): Promise<ClusterRepository | undefined> {
  try {
    return await openCluster(new DiskStore(directory), 'test', systemClock)
  } catch (error) {
    if (isBackstayError(error, 'REPOSITORY_MISSING')) return undefined
    throw error
  }
}

/** Everything that is listed verifies. */
async function checkAllListed(directory: string): Promise<string[]> {
  const cluster = await open(directory)
  if (cluster === undefined) return []
  const { backups, damaged } = await readCatalogue(cluster)
  assert.deepEqual(damaged, [])
  for (const { info } of backups) {
    const options = {
      samplePercent: 100,
      seed: 0,
      sinceMs: undefined,
      signal: AbortSignal.timeout(60_000),
      onProgress: () => {},
    }
    const report = await verifyBackup(cluster, info.id, options)
    assert.deepEqual(report.problems, [])
    assert.ok(report.unitsRead > 0 && report.walSegments > 0)
  }
  return backups.map(({ info }) => info.id)
}

/** There is no pack, folder or temporary file that no listed backup needs. */
async function checkNothingLeaked(directory: string): Promise<void> {
  const cluster = await open(directory)
  assert.ok(cluster)
  const backups = await listBackups(cluster)
  const needed = new Set(
    backups.flatMap(({ info }) => info.packs.map((pack) => `${pack.name}.pack`)),
  )
  assert.deepEqual(new Set(await cluster.store.listObjects(cluster.names.packs)), needed)
  const folders = await cluster.store.listFolders(cluster.names.backups)
  assert.deepEqual(folders, backups.map(({ info }) => info.id).sort())
  const files = await readdir(directory, { recursive: true })
  assert.deepEqual(
    files.filter((path) => path.endsWith('.tmp')),
    [],
  )
  assert.deepEqual(
    files.filter((path) => /locks\/[^/]+\/.*json$/.test(path)),
    [],
  )
}

/** Numbers of changes, one of `each`, from a random one on; BACKSTAY_KILL_EACH=1 takes all of them. Does not end by itself. */
function* changes(each: number): Generator<number> {
  const step = Number(process.env['BACKSTAY_KILL_EACH'] ?? each)
  for (let number = Math.floor(Math.random() * step); ; number += step) yield number
}

async function server(): Promise<TestServer> {
  const pg = await startPostgres({
    major: 18,
    settings: { summarize_wal: 'on', wal_keep_size: '256MB' },
  })
  await pg.query(
    `create table t as select g as id, md5(g::text) as text from generate_series(1, 5000) g`,
  )
  return pg
}

describe('a backup killed', () => {
  for (const step of BACKUP_STEPS) {
    it(`after step "${step}" leaves a good repository`, async () => {
      await using pg = await server()
      await using directory = temporaryDirectory()
      const first = await backUp(pg, directory.path)
      await pg.query(`update t set text = 'x' where id < 100`)
      assert.equal(
        await child(pg, { work: 'backup', directory: directory.path, dieAt: step }),
        undefined,
      )
      const listed = await checkAllListed(directory.path)
      assert.equal(listed.length, step === 'published' ? 2 : 1)
      assert.ok(listed.includes(first.id))
      await backUp(pg, directory.path)
      await checkAllListed(directory.path)
      await checkNothingLeaked(directory.path)
    })
  }

  it('before any change of the file system leaves a good repository', async () => {
    await using pg = await server()
    await using directory = temporaryDirectory()
    const start = join(directory.path, 'start')
    await backUp(pg, start)
    await pg.query(`update t set text = 'x' where id < 100`)
    for (const dieBefore of changes(16)) {
      const copy = join(directory.path, `copy-${dieBefore}`)
      await cp(start, copy, { recursive: true })
      const survived = await child(pg, { work: 'backup', directory: copy, dieBefore })
      await checkAllListed(copy)
      await child(pg, { work: 'backup', directory: copy })
      await checkNothingLeaked(copy)
      if (survived !== undefined) break
    }
  })
})

describe('an expiry killed', () => {
  it('before any change of the file system leaves a good repository', async () => {
    await using pg = await server()
    await using directory = temporaryDirectory()
    const start = join(directory.path, 'start')
    for (const n of [1, 2, 3]) {
      await pg.query(`update t set text = 'x${n}' where id < 1000`)
      await backUp(pg, start, { full: n === 3 })
    }
    const newest = (await checkAllListed(start))[0]
    for (const dieBefore of changes(6)) {
      const copy = join(directory.path, `copy-${dieBefore}`)
      await cp(start, copy, { recursive: true })
      const survived = await child(pg, { work: 'expire', directory: copy, dieBefore })
      const listed = await checkAllListed(copy)
      assert.equal(listed[0], newest)
      await child(pg, { work: 'expire', directory: copy })
      await checkNothingLeaked(copy)
      assert.deepEqual(await checkAllListed(copy), [newest])
      if (survived !== undefined) break
    }
  })
})
