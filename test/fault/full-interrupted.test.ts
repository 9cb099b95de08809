/**
 * A full backup that is interrupted is gone on with by the next one: what it had stored is not stored again, and nothing is believed of it that
 * is not the server's now.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { promisify } from 'node:util'
import { expireCluster } from '../../src/backup/expire.ts'
import type { TakeBackupOptions } from '../../src/backup/take/take-options.ts'
import { BackstayError, isBackstayError } from '../../src/errors/backstay-error.ts'
import { openCluster } from '../../src/repository/cluster-repository.ts'
import { collectGarbage } from '../../src/repository/garbage.ts'
import { readUnfinished } from '../../src/repository/unfinished.ts'
import { DiskStore } from '../../src/store/disk-store.ts'
import type { Clock } from '../../src/util/clock.ts'
import { systemClock } from '../../src/util/clock.ts'
import { startPostgres, temporaryDirectory, type TestServer } from '../harness/postgres.ts'
import { backUp, restoreAndOpen, verifyAll } from '../integration/backup/support.ts'
import type { ChildWish } from './backup-child.ts'

const run = promisify(execFile)

/** Of about 70 MB that are sent. */
const MOST_BYTES = 45_000_000

/** Of a fresh full everything is stored; how much had been by the time of the interruption depends on the machine. */
const MOST_SHARE = 0.8

const SMALL_PACKS = { packBytes: 1_000_000 }

async function server(changes: { checksums?: boolean } = {}): Promise<TestServer> {
  const pg = await startPostgres({
    major: 18,
    settings: { autovacuum: 'off', wal_keep_size: '1GB', max_wal_size: '4GB' },
    initdbArguments: changes.checksums === false ? ['--no-data-checksums'] : [],
  })
  await pg.query(`
    create table t (id int primary key, filler text) with (autovacuum_enabled = off);
    insert into t select g, md5(g::text) || md5((g * 7)::text) from generate_series(1, 350000) g`)
  // Else the first reader sets hint bits on every page.
  await pg.query('vacuum freeze t')
  await pg.query('checkpoint')
  return pg
}

/** Takes a full in a process that is killed when most of it was received. */
async function killed(pg: TestServer, directory: string): Promise<void> {
  const wish: ChildWish = {
    work: 'backup',
    directory,
    connection: pg.connection,
    full: true,
    dieAfterBytes: MOST_BYTES,
    parts: 9,
  }
  const file = join(import.meta.dirname, 'backup-child.ts')
  await assert.rejects(run(process.execPath, [file, JSON.stringify(wish)]), { signal: 'SIGKILL' })
}

/** Takes a full that `cut` ends when most of it was received. */
async function cut(
  pg: TestServer,
  directory: string,
  end: (stop: AbortController) => void,
  changes: Partial<TakeBackupOptions> = {},
): Promise<void> {
  const stop = new AbortController()
  let isEnded = false
  const backup = backUp(pg, directory, {
    ...SMALL_PACKS,
    full: true,
    signal: stop.signal,
    onEvent: (event) => {
      if (isEnded || event.kind !== 'progress' || event.receivedBytes < MOST_BYTES) return
      isEnded = true
      end(stop)
    },
    ...changes,
  })
  await assert.rejects(backup)
}

/** The next full: what it stored anew, of what it holds. */
async function next(pg: TestServer, directory: string, changes: Partial<TakeBackupOptions> = {}) {
  const warnings: string[] = []
  const info = await backUp(pg, directory, {
    ...SMALL_PACKS,
    full: true,
    onEvent: (event) => {
      if (event.kind === 'warning') warnings.push(event.text)
    },
    ...changes,
  })
  return { info, warnings: warnings.join('\n'), share: info.bytes.changed / info.bytes.database }
}

async function unfinishedIn(directory: string, clock: Clock = systemClock): Promise<string[]> {
  const cluster = await openCluster(new DiskStore(directory), 'test', clock)
  return (await collectGarbage(cluster)).resumable.map(({ id }) => id)
}

/** Nothing is left but what listed backups need. */
async function assertClean(directory: string): Promise<void> {
  assert.deepEqual(await unfinishedIn(directory), [])
  const { store, names } = await openCluster(new DiskStore(directory), 'test', systemClock)
  for (const id of await store.listFolders(names.backups)) {
    const objects = await store.listObjects(`${names.backups}/${id}`)
    assert.deepEqual(objects, ['backup.json', 'manifest.zst', 'pages.crc'])
  }
}

async function assertRows(
  pg: TestServer,
  place: { directory: string; id: string; target: string },
) {
  const sum = 'select count(*), sum(hashtext(t::text)::bigint) from t'
  const wanted = await pg.query(sum)
  await using restored = await restoreAndOpen(pg, place)
  await restored.query('create extension if not exists amcheck')
  await restored.query(`select bt_index_check('t_pkey', true)`)
  assert.deepEqual(await restored.query(sum), wanted)
}

it('a full that was killed is gone on with, and what changed meanwhile is stored', async () => {
  await using pg = await server()
  await using directory = temporaryDirectory()
  const repository = join(directory.path, 'repository')
  await killed(pg, repository)
  await pg.query(`update t set filler = repeat('x', 64) where id % 5000 = 0; checkpoint`)
  const { info, warnings, share } = await next(pg, repository)
  assert.match(warnings, /Going on with backup/)
  assert.ok(share < MOST_SHARE, `${share} of the database were stored anew`)
  assert.equal(info.type, 'full')
  assert.equal(info.resumed?.length, 1)
  await verifyAll(repository)
  await assertClean(repository)
  await assertRows(pg, { directory: repository, id: info.id, target: join(directory.path, 'data') })
  // And it is a reference like any other.
  const later = await backUp(pg, repository)
  assert.equal(later.reference, info.id)
  await verifyAll(repository)
})

for (const way of ['signal', 'connection'] as const) {
  it(`a full whose ${way} was cut is gone on with, again and again`, async () => {
    await using pg = await server()
    await using directory = temporaryDirectory()
    const repository = join(directory.path, 'repository')
    const terminate = `select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'walsender'`
    const end = (stop: AbortController) => {
      if (way === 'signal') stop.abort(new BackstayError('INTERRUPTED', 'stopped'))
      else void pg.query(terminate)
    }
    const rate = way === 'connection' ? { maxRateBytes: 8_000_000 } : {}
    await cut(pg, repository, end, rate)
    await pg.query(`update t set filler = repeat('x', 64) where id < 2000; checkpoint`)
    await cut(pg, repository, end, rate)
    assert.equal((await unfinishedIn(repository)).length, 2)
    await pg.query(
      `update t set filler = repeat('y', 64) where id between 1000 and 3000; checkpoint`,
    )
    const { info, share } = await next(pg, repository)
    assert.equal(info.resumed?.length, 2)
    assert.ok(share < MOST_SHARE, `${share} of the database were stored anew`)
    await verifyAll(repository)
    const target = join(directory.path, 'data')
    await assertRows(pg, { directory: repository, id: info.id, target })
    await assertClean(repository)
  })
}

it('a page that changed under its old LSN since the interruption is the server’s in the backup', async () => {
  await using pg = await server({ checksums: false })
  await using directory = temporaryDirectory()
  const repository = join(directory.path, 'repository')
  await killed(pg, repository)
  const [row] = await pg.query(`select pg_relation_filepath('t') as path`)
  const path = String(row?.['path'])
  await pg.stop()
  const at = 5 * 8192 + 8000
  {
    await using file = await open(join(pg.directory, path), 'r+')
    await file.write(Buffer.from('CHANGED'), 0, 7, at)
  }
  await pg.start()
  const { info, share } = await next(pg, repository)
  assert.ok(share < MOST_SHARE, `${share} of the database were stored anew`)
  const target = join(directory.path, 'data')
  await using restored = await restoreAndOpen(pg, { directory: repository, id: info.id, target })
  await restored.stop()
  const content = await readFile(join(target, path))
  assert.equal(content.subarray(at, at + 7).toString(), 'CHANGED')
})

it('a pack that was damaged since the interruption is not used', async () => {
  await using pg = await server()
  await using directory = temporaryDirectory()
  const repository = join(directory.path, 'repository')
  await killed(pg, repository)
  const cluster = await openCluster(new DiskStore(repository), 'test', systemClock)
  const parts = (await readUnfinished(cluster, undefined)).flatMap((one) => one.parts)
  const packs = parts.map(({ pack }) => `${pack.name}.pack`)
  const damaged = packs.slice(3, 6)
  for (const pack of damaged) {
    await using file = await open(join(repository, cluster.names.packs, pack), 'r+')
    await file.write(Buffer.from([0xff, 0xff, 0xff]), 0, 3, 500_000)
  }
  const { info, warnings } = await next(pg, repository)
  assert.match(warnings, /stored anew: its CRC-32C is wrong/)
  const used = info.packs.map(({ name }) => `${name}.pack`)
  for (const pack of packs) assert.equal(used.includes(pack), !damaged.includes(pack), pack)
  await verifyAll(repository)
})

it('what was interrupted outlives expiry for three days, and no newer backup', async () => {
  await using pg = await server()
  await using directory = temporaryDirectory()
  const repository = join(directory.path, 'repository')
  await backUp(pg, repository)
  await killed(pg, repository)
  const cluster = await openCluster(new DiskStore(repository), 'test', systemClock)
  const policy = { windowMs: undefined, count: 1, minimum: 1 }
  const { garbage } = await expireCluster(cluster, policy)
  assert.equal(garbage.resumable.length, 1)
  const program = join(import.meta.dirname, '../../bin/backstay.js')
  const words = ['backups', '--repository', repository, '--cluster', 'test']
  const { stdout } = await run(process.execPath, [program, ...words])
  assert.match(stdout, /Full backup \w+ was interrupted: the next full goes on with the \d+/)
  const days = (n: number): Clock => ({
    ...systemClock,
    now: () => Date.now() + n * 86_400_000,
  })
  assert.equal((await unfinishedIn(repository, days(2.9))).length, 1)
  await verifyAll(repository)
  const newer = await backUp(pg, repository)
  assert.equal(newer.type, 'changed-pages')
  await assertClean(repository)
  await killed(pg, repository)
  assert.equal((await unfinishedIn(repository)).length, 1)
  assert.deepEqual(await unfinishedIn(repository, days(3.1)), [])
  await assertClean(repository)
  await verifyAll(repository)
})

it('a full that fills the disk leaves nothing', async () => {
  await using pg = await server()
  await using directory = temporaryDirectory()
  const repository = join(directory.path, 'repository')
  const store = new DiskStore(repository)
  const create = store.create.bind(store)
  let packs = 0
  store.create = async (name) => {
    packs += name.endsWith('.pack') ? 1 : 0
    if (packs > 8) throw new BackstayError('DISK_SPACE', 'full')
    return await create(name)
  }
  const backup = backUp(pg, repository, { ...SMALL_PACKS, store })
  await assert.rejects(backup, (error) => isBackstayError(error, 'DISK_SPACE'))
  const { names } = await openCluster(store, 'test', systemClock)
  assert.deepEqual(await store.listObjects(names.packs), [])
  assert.deepEqual(await store.listFolders(names.backups), [])
})
