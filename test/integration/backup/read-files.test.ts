/**
 * Backups read where the data lies: they have what the stream has, restore while the server is busy, and are listed only when the
 * server was there to the end.
 */
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { chown, mkdir, open, rename, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import type { FilesWanted, TakeBackupOptions } from '../../../src/backup/take/take-options.ts'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { parseRelationPath } from '../../../src/postgres/relation-path.ts'
import type { BackupInfo } from '../../../src/repository/backup-info.ts'
import { listBackups } from '../../../src/repository/catalogue.ts'
import { openCluster } from '../../../src/repository/cluster-repository.ts'
import type { ManifestEntry } from '../../../src/repository/manifest-entry.ts'
import { openManifest } from '../../../src/repository/open-manifest.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { embeddedBinaries } from '../../harness/binaries.ts'
import {
  debianBinaries,
  matrixMajors,
  openPostgres,
  startPostgres,
  temporaryDirectory,
  type TestServer,
} from '../../harness/postgres.ts'
import { isRoot, unprivilegedUser } from '../../harness/unprivileged-user.ts'
import { until } from '../../harness/until.ts'
import { BANK, busy, churning, openBank } from './bank.ts'
import {
  backUp,
  giveToServer,
  readRepository,
  restoreAndOpen,
  verifyAll,
  standbyFrom,
} from './support.ts'

const run = promisify(execFile)

const filesOf = (directory: string): FilesWanted => ({ directory, otherwise: 'fail' })

/** A full that is read. */
async function read(
  pg: TestServer,
  repository: string,
  changes: Partial<TakeBackupOptions> = {},
): Promise<BackupInfo> {
  return await backUpAsServer(pg, repository, {
    full: true,
    files: filesOf(pg.directory),
    ...changes,
  })
}

/** A backup by the user whose the files are. */
async function backUpAsServer(
  pg: TestServer,
  repository: string,
  wish: Partial<TakeBackupOptions> = {},
): Promise<BackupInfo> {
  if (!isRoot) return await backUp(pg, repository, wish)
  const { uid, gid } = unprivilegedUser
  await mkdir(repository, { recursive: true })
  await giveToServer(repository)
  process.setegid?.(gid)
  process.seteuid?.(uid)
  try {
    return await backUp(pg, repository, wish)
  } finally {
    process.seteuid?.(0)
    process.setegid?.(0)
  }
}

async function entriesOf(
  repository: string,
  info: BackupInfo,
): Promise<Map<string, ManifestEntry>> {
  const cluster = await openCluster(new DiskStore(repository), 'test', systemClock)
  await using manifest = await openManifest(cluster, info)
  const entries = new Map<string, ManifestEntry>()
  for await (const entry of manifest.entries()) entries.set(entry.path, entry)
  return entries
}

async function listed(repository: string): Promise<readonly unknown[]> {
  return await listBackups(await openCluster(new DiskStore(repository), 'test', systemClock))
}

/** What of an entry does not change while nobody writes. */
function lasting(entry: ManifestEntry): unknown {
  if (entry.kind !== 'file') return entry
  const { kind, path, mode } = entry
  // The counters of a shutdown, positions of checkpoints: not ours to compare.
  if (parseRelationPath(path) === undefined) return { kind, path, mode }
  return { kind, path, mode, sizeBytes: entry.sizeBytes, crc32c: entry.crc32c }
}

/** A place for a tablespace, of the user that runs servers. */
async function placeFor(directory: string, name: string): Promise<string> {
  const place = join(directory, name)
  await mkdir(place, { mode: 0o700 })
  if (isRoot) await chown(place, unprivilegedUser.uid, unprivilegedUser.gid)
  return place
}

describe('a backup read where the data lies', () => {
  for (const major of matrixMajors()) {
    it(`of PostgreSQL ${major} has what the stream has, and restores`, async () => {
      await using pg = await startPostgres({ major, settings: { autovacuum: 'off' } })
      await using directory = temporaryDirectory()
      const place = await placeFor(directory.path, 'space')
      await pg.query(`create tablespace space location '${place}'`)
      await mkdir(join(place, 'PG_9.6_201608131'))
      await writeFile(join(place, 'PG_9.6_201608131', 'foreign'), 'of another server')
      await pg.query(
        'create table t as select g as id, md5(g::text) as text from generate_series(1, 20000) g',
      )
      await pg.query('create table far (id int) tablespace space')
      await pg.query('insert into far select generate_series(1, 5000)')
      await pg.query('create unlogged table loose as select generate_series(1, 5000) as id')
      await writeFile(join(pg.directory, 'pg_internal.init.99'), 'made anew')
      await symlink('/etc/passwd', join(pg.directory, 'base', '1', 'link'))
      await pg.query('checkpoint')
      const repository = join(directory.path, 'repository')
      const streamed = await backUp(pg, repository, { full: true })
      const here = await read(pg, repository)
      assert.equal(here.status, 'done')
      assert.deepEqual(here.tablespaces, streamed.tablespaces)
      const theirs = await entriesOf(repository, streamed)
      const ours = await entriesOf(repository, here)
      assert.deepEqual([...ours.keys()].sort(), [...theirs.keys()].sort())
      assert.deepEqual(
        [...ours.values()].map(lasting).sort(byPath),
        [...theirs.values()].map(lasting).sort(byPath),
      )
      await verifyAll(repository)
      const target = join(directory.path, 'restored')
      await readRepository(
        repository,
        'test',
        here.id,
        target,
        '--tablespace',
        `${here.tablespaces[0]?.oid}=${await placeFor(directory.path, 'other')}`,
      )
      await giveToServer(target)
      await giveToServer(join(directory.path, 'other'))
      await using restored = await openPostgres({ major, directory: target })
      const rows = `select (select sum(hashtext(t::text)) from t) as t, (select sum(id) from far) as far, (select count(*)::int from loose) as loose`
      assert.deepEqual(await restored.query(rows), [{ ...(await pg.query(rows))[0], loose: 0 }])
    })
  }

  const debian = debianBinaries(15)
  for (const major of [18, 15, 11] as const) {
    it(`of a busy PostgreSQL ${major} is consistent, and passes PostgreSQL's own judges`, async () => {
      await using directory = temporaryDirectory()
      const binaries = major === 15 && debian !== undefined ? { binaries: debian } : {}
      const settings = { checkpoint_timeout: '30s', max_wal_size: '2GB' }
      await using pg = await startPostgres({
        major,
        settings,
        initdbArguments: ['--data-checksums'],
        ...binaries,
      })
      await openBank(pg)
      const repository = join(directory.path, 'repository')
      let info: BackupInfo
      {
        await using load = busy(pg)
        await using _churn = churning(pg)
        await until('some transfers', () => load.transfers() > 50)
        info = await read(pg, repository)
      }
      assert.deepEqual([info.status, info.badPages.count], ['done', 0])
      await verifyAll(repository)
      const target = join(directory.path, 'restored')
      await readRepository(repository, 'test', info.id, target)
      await giveToServer(target)
      if (debian !== undefined) {
        const judge = join(debian, 'pg_verifybackup')
        if (major === 15) await run(judge, ['-n', target])
      }
      await using restored = await openPostgres({ major, directory: target, ...binaries })
      const [tables] = await restored.query(
        `select count(*)::int as n, sum((xpath('/row/c/text()', query_to_xml(format('select count(*) as c from %s', oid::regclass), false, true, '')))[1]::text::int) as rows from pg_class where relname ~ '^churn_\\d+$'`,
      )
      assert.ok(Number(tables?.['n']) > 0)
      assert.deepEqual(await restored.query(BANK), [
        { money: '40000000', accounts: '40000', tallies: true },
      ])
    })
  }

  it('finds a page that is damaged on the disk', async () => {
    await using pg = await startPostgres({ major: 18 })
    await using directory = temporaryDirectory()
    await pg.query(
      'create table t as select g as id, md5(g::text) as text from generate_series(1, 5000) g',
    )
    await pg.query('checkpoint')
    const [row] = await pg.query(`select pg_relation_filepath('t') as path`)
    const path = String(row?.['path'])
    const file = await open(join(pg.directory, path), 'r+')
    await file.write(Buffer.from('damage'), 0, 6, 8192 * 3 + 4000)
    await file.close()
    const info = await read(pg, directory.path)
    assert.equal(info.status, 'bad-pages')
    assert.deepEqual(info.badPages, { count: 1, list: [{ path, block: 3 }] })
  })

  it('of changed pages has the rows, whichever way the reference was taken', async () => {
    await using pg = await startPostgres({ major: 15, settings: { wal_keep_size: '1GB' } })
    await using directory = temporaryDirectory()
    await pg.query(
      'create table t as select g as id, md5(g::text) as text from generate_series(1, 50000) g',
    )
    const repository = join(directory.path, 'repository')
    await backUpAsServer(pg, repository)
    const infos = []
    const warnings: string[] = []
    const onEvent: TakeBackupOptions['onEvent'] = (event) => {
      if (event.kind === 'warning') warnings.push(event.text)
    }
    for (const files of [filesOf(pg.directory), undefined, filesOf(pg.directory)]) {
      await pg.query(`update t set text = 'new' where id % 5000 = 0`)
      const wish = { onEvent, ...(files === undefined ? {} : { files }) }
      infos.push(await backUpAsServer(pg, repository, wish))
    }
    assert.deepEqual(
      infos.map(({ method }) => method),
      ['block-map', 'page-lsn', 'block-map'],
      warnings.join('; '),
    )
    for (const { type, bytes } of infos) {
      assert.equal(type, 'changed-pages')
      assert.ok(bytes.changed < bytes.database / 2, `${bytes.changed} of ${bytes.database}`)
    }
    await verifyAll(repository)
    await using restored = await restoreAndOpen(pg, {
      directory: repository,
      id: infos.at(-1)?.id ?? '',
      target: join(directory.path, 'restored'),
    })
    const rows = 'select sum(hashtext(t::text)) as h from t'
    assert.deepEqual(await restored.query(rows), await pg.query(rows))
  })

  for (const major of [18, 11] as const) {
    it(`of PostgreSQL ${major} reads what WAL names, time after time, while relations come and go`, async () => {
      const settings = {
        ...(major >= 13 ? { wal_keep_size: '2GB' } : { wal_keep_segments: 128 }),
        max_wal_size: '2GB',
      }
      const initdbArguments = ['--data-checksums']
      await using pg = await startPostgres({ major, settings, initdbArguments })
      await using directory = temporaryDirectory()
      await openBank(pg)
      const repository = join(directory.path, 'repository')
      await read(pg, repository)
      const warnings: string[] = []
      const onEvent: TakeBackupOptions['onEvent'] = (event) => {
        if (event.kind === 'warning') warnings.push(event.text)
      }
      const infos: BackupInfo[] = []
      {
        await using load = busy(pg)
        await using _churn = churning(pg)
        for (let round = 0; round < 3; round += 1) {
          const before = load.transfers()
          await until('some transfers', () => load.transfers() > before + 50)
          infos.push(await read(pg, repository, { full: false, onEvent }))
        }
      }
      assert.deepEqual(
        new Set(infos.map(({ method }) => method)),
        new Set(['block-map']),
        warnings.join('; '),
      )
      await verifyAll(repository)
      await using restored = await restoreAndOpen(pg, {
        directory: repository,
        id: infos.at(-1)?.id ?? '',
        target: join(directory.path, 'restored'),
      })
      assert.deepEqual(await restored.query(BANK), [
        { money: '40000000', accounts: '40000', tallies: true },
      ])
      await restored.query('create extension amcheck')
      await restored.query(
        `select bt_index_check(c.oid) from pg_class c join pg_am a on a.oid = c.relam and a.amname = 'btree' where c.relkind = 'i' and c.relpersistence = 'p'`,
      )
    })
  }

  it('compares every page once the server was stopped', async () => {
    await using pg = await startPostgres({ major: 15, settings: { wal_keep_size: '1GB' } })
    await using directory = temporaryDirectory()
    await pg.query('create table t as select g as id from generate_series(1, 5000) g')
    const repository = join(directory.path, 'repository')
    await pg.query('checkpoint')
    const [row] = await pg.query(`select pg_relation_filepath('t') as path`)
    const place = join(pg.directory, String(row?.['path']))
    const older = await pageOf(place, 2)
    await pg.query('update t set id = id + 10000 where id % 7 = 0')
    await pg.query('checkpoint')
    await read(pg, repository)
    await pg.stop()
    // A page of before is put back: no WAL tells of it.
    const file = await open(place, 'r+')
    await file.write(older, 0, 8192, 8192 * 2)
    await file.close()
    await pg.start()
    const warnings: string[] = []
    const onEvent: TakeBackupOptions['onEvent'] = (event) => {
      if (event.kind === 'warning') warnings.push(event.text)
    }
    const info = await read(pg, repository, { full: false, onEvent })
    assert.equal(info.method, 'page-lsn')
    assert.match(
      warnings.join('; '),
      /Every page is compared, because the server was started after/,
    )
    await using restored = await restoreAndOpen(pg, {
      directory: repository,
      id: info.id,
      target: join(directory.path, 'restored'),
    })
    const rows = 'select count(*) as n, sum(id) as sum from t'
    assert.deepEqual(await restored.query(rows), await pg.query(rows))
  })

  it('that was interrupted is gone on with', async () => {
    await using pg = await startPostgres({ major: 18 })
    await using directory = temporaryDirectory()
    await openBank(pg)
    const repository = join(directory.path, 'repository')
    const stop = new AbortController()
    let seen = 0
    const onEvent: TakeBackupOptions['onEvent'] = (event) => {
      if (event.kind === 'progress' && (seen = event.receivedBytes) > 30_000_000) stop.abort()
    }
    const wish = { onEvent, signal: stop.signal, packBytes: 4 * 1024 * 1024 }
    await assert.rejects(read(pg, repository, wish))
    assert.ok(seen > 0)
    assert.deepEqual(await listed(repository), [])
    const info = await read(pg, repository)
    assert.equal(info.resumed?.length, 1)
    await verifyAll(repository)
  })

  it('keeps to the rate it is given', async () => {
    await using pg = await startPostgres({ major: 18 })
    await using directory = temporaryDirectory()
    await pg.query(`create table t as select repeat('x', 1000) from generate_series(1, 20000)`)
    const begunAtMs = performance.now()
    const rate = 8 * 1024 * 1024
    const info = await read(pg, join(directory.path, 'repository'), { maxRateBytes: rate })
    const seconds = (performance.now() - begunAtMs) / 1000
    assert.ok(seconds >= (info.bytes.received - rate) / rate, `${seconds} s`)
  })

  it(
    'is taken by nobody but the owner of the files: streamed with the reason, or refused',
    { skip: !isRoot && 'only root can be another user' },
    async () => {
      await using pg = await startPostgres({ major: 18 })
      await using directory = temporaryDirectory()
      const warnings: string[] = []
      const onEvent: TakeBackupOptions['onEvent'] = (event) => {
        if (event.kind === 'warning') warnings.push(event.text)
      }
      const files = filesOf(pg.directory)
      await assert.rejects(backUp(pg, directory.path, { files }), (error) =>
        isBackstayError(error, 'DIRECTORY_OWNER'),
      )
      const may = { files: { ...files, otherwise: 'stream' as const }, onEvent }
      const info = await backUp(pg, directory.path, may)
      assert.equal(info.status, 'done')
      assert.match(
        warnings.join('\n'),
        /they belong to user \d+, and this is user 0; they are streamed/,
      )
    },
  )

  it('lists nothing when its session is ended', async () => {
    await using pg = await startPostgres({ major: 15 })
    await using directory = temporaryDirectory()
    await openBank(pg)
    const onEvent = endingSession(pg)
    await assert.rejects(read(pg, directory.path, { onEvent, label: 'ended' }), (error) =>
      isBackstayError(error, 'POSTGRES_CONNECTION_LOST'),
    )
    assert.deepEqual(await listed(directory.path), [])
    const [row] = await pg.query(
      `select count(*)::int as n from pg_stat_activity where query ~ 'pg_backup_st[oa]'`,
    )
    assert.equal(row?.['n'], 0)
  })

  it('lists nothing when the standby it is taken from is promoted', async () => {
    await using pg = await startPostgres({ major: 18, settings: { wal_keep_size: '1GB' } })
    await using directory = temporaryDirectory()
    await openBank(pg)
    const repository = join(directory.path, 'repository')
    await using standby = await standbyOf(pg, repository, join(directory.path, 'standby'))
    const info = await read(standby, repository)
    assert.equal(info.source.role, 'standby')
    await using restored = await restoreAndOpen(standby, {
      directory: repository,
      id: info.id,
      target: join(directory.path, 'restored'),
    })
    assert.deepEqual(await restored.query('select count(*)::int as n from account'), [
      { n: 40_000 },
    ])
    const before = (await listed(repository)).length
    let promotion: Promise<unknown> | undefined
    const onEvent: TakeBackupOptions['onEvent'] = ({ kind }) => {
      if (kind === 'progress') promotion ??= standby.query('select pg_promote()')
    }
    await assert.rejects(read(standby, repository, { onEvent }), (error) =>
      isBackstayError(error, 'POSTGRES_QUERY'),
    )
    await promotion
    assert.equal((await listed(repository)).length, before)
  })

  it('lists nothing when the standby was promoted between plan and beginning', async () => {
    await using pg = await startPostgres({ major: 18, settings: { wal_keep_size: '1GB' } })
    await using directory = temporaryDirectory()
    await pg.query('create table t as select 1 as id')
    const repository = join(directory.path, 'repository')
    await using standby = await standbyOf(pg, repository, join(directory.path, 'standby'))
    const before = (await listed(repository)).length
    const ctl = join(embeddedBinaries(18).directory, 'pg_ctl')
    const onEvent: TakeBackupOptions['onEvent'] = (event) => {
      // The backup has asked the server what it is, and goes on when the promotion is over.
      const isPlanned = event.kind === 'step' && event.step === 'planned'
      if (isPlanned) promoteAndWait(ctl, standby.directory)
    }
    await assert.rejects(read(standby, repository, { onEvent }), (error) =>
      isBackstayError(error, 'POSTGRES_IDENTITY'),
    )
    assert.equal((await listed(repository)).length, before)
  })

  it('names a file that it may not read', async () => {
    await using pg = await startPostgres({ major: 18 })
    await using directory = temporaryDirectory()
    const path = 'postgresql.extra.conf'
    await writeFile(join(pg.directory, path), 'work_mem = 8MB', { mode: 0 })
    await assert.rejects(
      read(pg, join(directory.path, 'repository')),
      (error) =>
        isBackstayError(error, 'FAILED') &&
        error.message.includes(path) &&
        error.message.includes('permission denied'),
    )
    assert.deepEqual(await listed(join(directory.path, 'repository')), [])
  })

  it('refuses a directory that is not the server’s', async () => {
    await using pg = await startPostgres({ major: 18 })
    await using other = await startPostgres({ major: 18 })
    await using directory = temporaryDirectory()
    await assert.rejects(read(pg, directory.path, { files: filesOf(other.directory) }), (error) =>
      isBackstayError(error, 'POSTGRES_IDENTITY'),
    )
    const moved = join(directory.path, 'moved')
    await pg.stop()
    await rename(pg.directory, moved)
    await run('cp', ['-a', moved, pg.directory])
    await pg.start()
    await assert.rejects(read(pg, directory.path, { files: filesOf(moved) }), (error) =>
      isBackstayError(error, 'POSTGRES_IDENTITY'),
    )
    assert.deepEqual(await listed(directory.path), [])
  })
})

async function pageOf(path: string, block: number): Promise<Buffer> {
  await using file = await open(path, 'r')
  const page = Buffer.alloc(8192)
  await file.read(page, 0, page.length, page.length * block)
  return page
}

/** pg_ctl refuses root, and takes us for the user that we are in effect. */
function promoteAndWait(ctl: string, directory: string): void {
  const { uid, gid } = unprivilegedUser
  const as = isRoot ? { uid, gid } : {}
  process.seteuid?.(isRoot ? 0 : uid)
  execFileSync(ctl, ['promote', '-w', '-D', directory], { ...as, stdio: 'ignore' })
  if (isRoot) process.seteuid?.(uid)
}

function byPath(a: unknown, b: unknown): number {
  return (a as ManifestEntry).path < (b as ManifestEntry).path ? -1 : 1
}

/** Has the server end the session of the backup once bytes came. */
function endingSession(pg: TestServer): TakeBackupOptions['onEvent'] {
  let asked: Promise<unknown> | undefined
  return ({ kind }) => {
    if (kind !== 'progress') return
    asked ??= pg.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and backend_type = 'client backend'`,
    )
  }
}

/** A standby of `pg` made from a backup in `repository`. */
async function standbyOf(pg: TestServer, repository: string, target: string): Promise<TestServer> {
  const { id } = await read(pg, repository)
  return await standbyFrom(pg, { directory: repository, id, target })
}
