/**
 * What a restore writes: every byte of the backup, in its place, owned by who will run it; and nothing a server could start on
 * before the end.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import {
  chmod,
  chown,
  cp,
  mkdir,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { BackstayError } from '../../../src/errors/backstay-error.ts'
import { toLsn } from '../../../src/postgres/lsn.ts'
import type { BackupInfo } from '../../../src/repository/backup-info.ts'
import type { ClusterRepository } from '../../../src/repository/cluster-repository.ts'
import { MARKER_NAME } from '../../../src/restore/marker.ts'
import type { ContinuityMap } from '../../../src/wal/continuity.ts'
import {
  openPostgres,
  startPostgres,
  temporaryDirectory,
  type TestServer,
} from '../../harness/postgres.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { coldBackup, hashTree } from './cold-backup.ts'
import { restore } from './restore-files.ts'

interface Fixture extends AsyncDisposable {
  readonly server: TestServer
  readonly repository: ClusterRepository
  readonly backup: BackupInfo
  readonly map: ContinuityMap
  /** A directory of the test's own. */
  readonly base: string
  /** Copies WAL from the stopped server. */
  readonly restoreCommand: string
}

async function fixture(): Promise<Fixture> {
  const base = temporaryDirectory()
  const server = await startPostgres({ major: 18 })
  await mkdir(join(base.path, 'space'))
  await takeOver(join(base.path, 'space'))
  await server.query(`CREATE TABLESPACE space LOCATION '${join(base.path, 'space')}'`)
  await server.query(`CREATE TABLE t AS SELECT i, repeat(md5(i::text), 10) AS text FROM generate_series(1, 50000) i;
    CREATE TABLE s TABLESPACE space AS SELECT i FROM generate_series(1, 1000) i`)
  await server.query('CREATE DATABASE other')
  await server.stop()
  const made = await coldBackup(server, join(base.path, 'repository'), '20260101T000000')
  return {
    server,
    ...made,
    map: mapOf(made.backup),
    base: base.path,
    restoreCommand: `cp ${server.directory}/pg_wal/%f %p`,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      await base[Symbol.asyncDispose]()
    },
  }
}

/** As if the WAL of a stopped server were held: its segment up to the end of the shutdown checkpoint. */
function mapOf({ startLsn, postgres, timeline }: BackupInfo): ContinuityMap {
  const { segmentBytes } = postgres
  const floor = toLsn(startLsn - (startLsn % BigInt(segmentBytes)))
  const range = { timeline, startLsn: floor, endLsn: toLsn(startLsn + 112n) }
  return { segmentBytes, ranges: new Map([[timeline, [range]]]), histories: new Map() }
}

async function takeOver(path: string): Promise<void> {
  if (isRoot) await chown(path, unprivilegedUser.uid, unprivilegedUser.gid)
}

/** What must be the same as on the server. */
async function contentOf(directory: string): Promise<Map<string, string>> {
  const hashes = await hashTree(directory)
  for (const name of ['postgresql.auto.conf', 'recovery.signal', 'postmaster.opts'])
    hashes.delete(name)
  return hashes
}

function tablespaces(f: Fixture, name: string): ReadonlyMap<string, string> {
  return new Map([[String(f.backup.tablespaces[0]?.oid), join(f.base, name)]])
}

test('a restored directory holds every byte of the backup, opens, and is owned by who runs it', async () => {
  await using f = await fixture()
  const directory = join(f.base, 'new/data')
  const { restoreCommand, map } = f
  const result = await restore(f.repository, {
    directory,
    map,
    restoreCommand,
    tablespaces: tablespaces(f, 'space2'),
  })
  assert.equal(
    result.bytes,
    f.backup.bytes.database - specialBytes(await sizes(f.server.directory)),
  )
  assert.deepEqual(await contentOf(directory), await contentOf(f.server.directory))
  assert.ok(
    !existsSync(join(directory, MARKER_NAME)) && !existsSync(join(f.base, 'space2', MARKER_NAME)),
  )
  assert.equal((await stat(directory)).mode & 0o777, 0o700)
  if (isRoot) assert.equal((await stat(join(directory, 'base/1/1259'))).uid, unprivilegedUser.uid)
  await using opened = await openPostgres({ major: 18, directory })
  assert.deepEqual(
    await opened.query('SELECT count(*)::int AS t, (SELECT count(*)::int FROM s) AS s FROM t'),
    [{ t: 50_000, s: 1000 }],
  )
  const settings = await opened.query(
    `SELECT name, setting FROM pg_settings WHERE name IN ('archive_mode', 'primary_conninfo')`,
  )
  assert.deepEqual(settings, [
    { name: 'archive_mode', setting: 'off' },
    { name: 'primary_conninfo', setting: '' },
  ])
})

async function sizes(directory: string): Promise<Map<string, number>> {
  const names = ['global/pg_control', 'postgresql.auto.conf']
  const found = await Promise.all(names.map((name) => stat(join(directory, name))))
  return new Map(names.map((name, index) => [name, found[index]?.size ?? 0]))
}

function specialBytes(found: Map<string, number>): number {
  return [...found.values()].reduce((sum, size) => sum + size, 0)
}

test('a delta restore rewrites what was damaged, removes what does not belong and keeps the rest', async () => {
  await using f = await fixture()
  const directory = join(f.base, 'data')
  const wish = {
    directory,
    map: f.map,
    restoreCommand: f.restoreCommand,
    tablespaces: tablespaces(f, 'space2'),
  }
  await restore(f.repository, wish)
  const before = await contentOf(directory)
  const [victim] = [...before.keys()].filter((path) => /^base\/5\/\d+$/.test(path))
  const path = join(directory, victim ?? '')
  const content = await readFile(path)
  content[5000] = (content[5000] ?? 0) ^ 1
  await writeFile(path, content)
  await truncate(join(directory, 'global/pg_filenode.map'), 100)
  await rm(join(directory, 'base/1/1259'))
  await writeFile(join(directory, 'base/foreign'), 'x')
  await mkdir(join(directory, 'foreign/deep'), { recursive: true })
  await writeFile(join(f.base, 'space2/foreign'), 'x')
  const inode = (await stat(join(directory, 'base/1/1249'))).ino
  const result = await restore(f.repository, { ...wish, isDelta: true })
  assert.deepEqual(await contentOf(directory), before)
  assert.ok(!existsSync(join(directory, 'foreign')))
  assert.equal((await stat(join(directory, 'base/1/1249'))).ino, inode)
  assert.ok(
    result.writtenBytes > 8192 && result.writtenBytes < 400_000,
    `${result.writtenBytes} written`,
  )
})

test('a delta restore goes on where pg_control is gone, when the WAL there says whose the directory is', async () => {
  await using f = await fixture()
  const directory = join(f.base, 'data')
  await cp(f.server.directory, directory, { recursive: true })
  await rm(join(directory, 'global/pg_control'))
  await rm(join(directory, 'base/1/1259'))
  await takeOver(directory)
  const wish = {
    directory,
    map: f.map,
    restoreCommand: f.restoreCommand,
    tablespaces: tablespaces(f, 'space2'),
    isDelta: true,
    allowDataLoss: true,
  }
  const isForeign = (error: unknown): boolean =>
    error instanceof BackstayError && error.code === 'DIRECTORY_FOREIGN'
  await cp(join(directory, 'pg_wal'), join(f.base, 'wal'), { recursive: true })
  await rm(join(directory, 'pg_wal'), { recursive: true })
  await assert.rejects(restore(f.repository, wish), isForeign)
  await cp(join(f.base, 'wal'), join(directory, 'pg_wal'), { recursive: true })
  await restore(f.repository, wish)
  assert.deepEqual(await contentOf(directory), await contentOf(f.server.directory))
})

test('whole pages of zeros take no room', async () => {
  await using f = await fixture()
  const pages = 1024
  const sparse = Buffer.alloc(2 * pages * 8192)
  sparse.fill(1, pages * 8192, (pages + 1) * 8192)
  await writeFile(join(f.server.directory, 'base/1/77777'), sparse)
  await writeFile(join(f.server.directory, 'base/1/77778'), Buffer.alloc(pages * 8192))
  const made = await coldBackup(f.server, join(f.base, 'repository2'), '20260102T000000')
  const directory = join(f.base, 'data')
  const map = mapOf(made.backup)
  await restore(made.repository, { directory, map, tablespaces: tablespaces(f, 'space2') })
  assert.deepEqual(await contentOf(directory), await contentOf(f.server.directory))
  for (const name of ['77777', '77778']) {
    const { blocks } = await stat(join(directory, 'base/1', name))
    assert.ok(blocks * 512 < 1024 * 1024, `${name}: ${blocks} blocks`)
  }
})

test('a file whose checksum is wrong is named, and the directory cannot be started', async () => {
  await using f = await fixture()
  const directory = join(f.base, 'data')
  const [pack] = await readdir(join(f.repository.store.location, 'shop/packs'))
  const path = join(f.repository.store.location, 'shop/packs', pack ?? '')
  const bytes = await readFile(path)
  const place = bytes.length >> 1
  bytes[place] = (bytes[place] ?? 0) ^ 1
  await rm(path)
  await writeFile(path, bytes)
  const wish = { directory, map: f.map, tablespaces: tablespaces(f, 'space2') }
  await assert.rejects(restore(f.repository, wish), (error: BackstayError) => {
    assert.equal(error.code, 'REPOSITORY_DAMAGED')
    return true
  })
  assert.ok(existsSync(join(directory, MARKER_NAME)))
  assert.ok(!existsSync(join(directory, 'global/pg_control')))
  await assert.rejects(openPostgres({ major: 18, directory }), /did not start/)
})

test('an aborted restore can be repeated over what it left', async () => {
  await using f = await fixture()
  const directory = join(f.base, 'data')
  const wish = {
    directory,
    map: f.map,
    restoreCommand: f.restoreCommand,
    tablespaces: tablespaces(f, 'space2'),
  }
  const abort = new AbortController()
  const interrupted = new BackstayError('INTERRUPTED', 'Interrupted')
  const onPhase = (phase: string): void => {
    if (phase === 'sync') abort.abort(interrupted)
  }
  await assert.rejects(
    restore(f.repository, { ...wish, signal: abort.signal, onPhase }),
    interrupted,
  )
  await cp(join(directory, 'PG_VERSION'), join(directory, 'left-over'))
  await restore(f.repository, wish)
  assert.deepEqual(await contentOf(directory), await contentOf(f.server.directory))
})

test('a file of several stretches is written, checked as a whole, and corrected page by page', async () => {
  await using base = temporaryDirectory()
  await using server = await startPostgres({ major: 18, stopped: true })
  const large = 'base/1/99999'
  const content = Buffer.alloc(150 * 1024 * 1024)
  for (let at = 0; at < content.length; at += 4096) content.writeUInt32LE(at, at)
  // Zeros are not stored; a stretch may begin in the middle of them.
  content.fill(0, 20 * 1024 * 1024, 90 * 1024 * 1024)
  await writeFile(join(server.directory, large), content, { mode: 0o600 })
  const { repository, backup } = await coldBackup(
    server,
    join(base.path, 'repository'),
    '20260101T000000',
  )
  const map = mapOf(backup)
  const directory = join(base.path, 'data')
  await restore(repository, { directory, map })
  const path = join(directory, large)
  assert.ok((await readFile(path)).equals(content))

  const kept = await restore(repository, { directory, map, isDelta: true, allowDataLoss: true })
  assert.equal(kept.writtenBytes, 0)
  const damaged = Buffer.from(content)
  for (const at of [5, 70 * 1024 * 1024, 149 * 1024 * 1024]) damaged[at] = 1
  await writeFile(path, Buffer.concat([damaged, Buffer.from('more')]))
  await chmod(path, 0o644)
  const corrected = await restore(repository, {
    directory,
    map,
    isDelta: true,
    allowDataLoss: true,
  })
  assert.equal(corrected.writtenBytes, 3 * 8192)
  assert.ok((await readFile(path)).equals(content))
  assert.equal((await stat(path)).mode & 0o777, 0o600)
})
