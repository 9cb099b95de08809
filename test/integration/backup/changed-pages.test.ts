import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { fetchedWal } from '../../../src/backup/fetched-wal.ts'
import { parseLsn } from '../../../src/postgres/lsn.ts'
import type { BackupInfo } from '../../../src/repository/backup-info.ts'
import { openCluster } from '../../../src/repository/cluster-repository.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import {
  matrixMajors,
  startPostgres,
  temporaryDirectory,
  type TestServer,
} from '../../harness/postgres.ts'
import { backUp, giveToServer, readRepository, restoreAndOpen } from './support.ts'

/** Nothing moves by itself; WAL stays until the next backup fetches it. */
const settingsOf = (major: number): Record<string, string | number> => ({
  autovacuum: 'off',
  bgwriter_lru_maxpages: 0,
  ...(major >= 13 ? { wal_keep_size: '1GB' } : { wal_keep_segments: 64 }),
})

/** What differs between two restores of the same state. */
const VOLATILE =
  /^(backup_label(\.old)?|backup_manifest|global\/pg_control|pg_wal\/.*|pg_logical\/.*|pg_stat.*|.*pg_internal\.init|pg_xact\/.*|pg_multixact\/.*)$/

async function fillDatabase(pg: TestServer, tablespace: string): Promise<void> {
  await pg.query(`create tablespace ts location '${tablespace}'`)
  await pg.query(
    `create table big as select g as id, repeat(md5(g::text), 4) as text from generate_series(1, 60000) g`,
  )
  await pg.query('create unique index on big (id)')
  await pg.query(`create table truncated as select g as id from generate_series(1, 20000) g`)
  await pg.query(
    `create table shrunk as select g as id, repeat('x', 200) as text from generate_series(1, 20000) g`,
  )
  await pg.query(`create table rewritten as select * from shrunk`)
  await pg.query(`create table dropped as select * from shrunk`)
  await pg.query(`create table away tablespace ts as select * from shrunk`)
  await pg.query(`create unlogged table unlogged as select * from shrunk`)
  await pg.query('create database other')
  await pg.query(`create table t as select g from generate_series(1, 5000) g`, 'other')
}

async function changeDatabase(pg: TestServer): Promise<void> {
  await pg.query(`update big set text = 'changed' where id % 1000 = 0`)
  await pg.query('truncate truncated')
  await pg.query(`insert into truncated select generate_series(1, 100)`)
  await pg.query('delete from shrunk where id > 1000')
  await pg.query('vacuum shrunk')
  await pg.query('delete from rewritten where id % 2 = 0')
  await pg.query('vacuum full rewritten')
  await pg.query('drop table dropped')
  await pg.query(`create table dropped as select g as id from generate_series(1, 50) g`)
  await pg.query(`update away set text = 'y' where id % 100 = 0`)
  await pg.query('create database copied template other')
  if (pg.major >= 15) {
    await pg.query('create database filecopied template other strategy file_copy')
  }
  await pg.query(`delete from t where g % 3 = 0`, 'other')
}

const CHECKS: readonly (readonly [string, string?])[] = [
  ['select count(*) as n, sum(hashtext(b::text)) as h from big b'],
  ['select count(*) as n, sum(id) as s from truncated'],
  ['select count(*) as n, sum(hashtext(s::text)) as h from shrunk s'],
  ['select count(*) as n, sum(hashtext(r::text)) as h from rewritten r'],
  ['select count(*) as n, sum(id) as s from dropped'],
  ['select count(*) as n, sum(hashtext(a::text)) as h from away a'],
  ['select count(*) as n, sum(g) as s from t', 'other'],
  ['select count(*) as n, sum(g) as s from t', 'copied'],
]

async function contents(directory: string): Promise<Map<string, string>> {
  const files = new Map<string, string>()
  for (const item of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(item.parentPath, item.name)
    const name = path.slice(directory.length + 1)
    if (!item.isFile() || VOLATILE.test(name)) continue
    files.set(
      name,
      createHash('sha256')
        .update(await readFile(path))
        .digest('hex'),
    )
  }
  return files
}

/** What a receiver would have done: all WAL from the backup's start to now into the repository. */
async function fetchAllWal(pg: TestServer, repository: string, since: BackupInfo): Promise<void> {
  const cluster = await openCluster(new DiskStore(repository), 'test', systemClock)
  const signal = AbortSignal.timeout(60_000)
  const [row] = await pg.query('select pg_current_wal_lsn()::text as lsn')
  const endLsn = parseLsn(String(row?.['lsn']))
  assert.ok(endLsn !== undefined)
  await using wal = await fetchedWal(pg.connection)(cluster, signal)
  const range = { timeline: 1, startLsn: since.startLsn, endLsn }
  await wal.ensure(range, { timeoutMs: 60_000, signal, finishedOnly: false, trustsHeld: true })
}

describe('changed-pages backup', () => {
  for (const major of matrixMajors()) {
    for (const summarize of major >= 17 ? [true, false] : [false]) {
      const method = summarize ? 'incremental' : 'page-lsn'
      it(`of PostgreSQL ${major} by ${method} restores what a full would`, async () => {
        await using directory = temporaryDirectory()
        const tablespace = join(directory.path, 'ts')
        await mkdir(tablespace)
        await giveToServer(tablespace)
        await using pg = await startPostgres({
          major,
          settings: { ...settingsOf(major), ...(summarize ? { summarize_wal: 'on' } : {}) },
        })
        await fillDatabase(pg, tablespace)
        const repository = join(directory.path, 'repository')
        const first = await backUp(pg, repository)
        await changeDatabase(pg)
        const changed = await backUp(pg, repository)
        const full = await backUp(pg, repository, { full: true })
        assert.equal(changed.fullBecause, null)
        assert.deepEqual([first.type, changed.type, full.type], ['full', 'changed-pages', 'full'])
        assert.equal(changed.method, method, changed.fullBecause ?? '')
        assert.equal(changed.reference, first.id)
        assert.equal(changed.badPages.count, 0)
        assert.ok(changed.bytes.changed < full.bytes.changed / 2)

        const restored = new Map<string, Map<string, string>>()
        for (const { id } of [changed, full]) {
          const target = join(directory.path, `restored-${id}`)
          const space = `${target}-ts`
          const oid = changed.tablespaces[0]?.oid
          await readRepository(repository, 'test', id, target, '--tablespace', `${oid}=${space}`)
          restored.set(id, new Map([...(await contents(target)), ...(await contents(space))]))
        }
        assert.deepEqual(restored.get(changed.id), restored.get(full.id))
      })
    }
  }

  it('restores to the rows of its moment, also as the third of a chain', async () => {
    await using directory = temporaryDirectory()
    await using pg = await startPostgres({
      major: 18,
      settings: { ...settingsOf(18), summarize_wal: 'on' },
    })
    const tablespace = join(directory.path, 'ts')
    await mkdir(tablespace)
    await giveToServer(tablespace)
    await fillDatabase(pg, tablespace)
    await pg.query('drop table away')
    await pg.query('drop tablespace ts')
    await pg.query(`create table away as select * from shrunk`)
    const repository = join(directory.path, 'repository')
    await backUp(pg, repository)
    await changeDatabase(pg)
    await backUp(pg, repository)
    await pg.query(`update big set text = 'again' where id % 500 = 0`)
    const third = await backUp(pg, repository)
    assert.equal(third.method, 'incremental')
    const place = { directory: repository, id: third.id, target: join(directory.path, 'restored') }
    await using restored = await restoreAndOpen(pg, place)
    for (const [sql, database] of CHECKS) {
      assert.deepEqual(await restored.query(sql, database), await pg.query(sql, database), sql)
    }
  })

  it('goes on by page LSN when the server has no summaries since the reference, and says so', async () => {
    await using directory = temporaryDirectory()
    const settings = { max_wal_size: '64MB', min_wal_size: '32MB', autovacuum: 'off' }
    await using pg = await startPostgres({ major: 18, settings })
    await pg.query(`create table t as select g as id from generate_series(1, 5000) g`)
    const repository = join(directory.path, 'repository')
    const first = await backUp(pg, repository)
    await pg.query(`update t set id = -id where id % 50 = 0`)
    for (let n = 0; n < 3; n += 1) {
      await pg.query('create table x as select 1 as one; drop table x')
      await pg.query('select pg_switch_wal()')
      await fetchAllWal(pg, repository, first)
    }
    // Without the WAL the server cannot make up the summaries later.
    await pg.query('checkpoint')
    await pg.query('checkpoint')
    await pg.query('alter system set summarize_wal = on')
    await pg.query('select pg_reload_conf()')
    const warnings: string[] = []
    const info = await backUp(pg, repository, {
      onEvent: (event) => void (event.kind === 'warning' && warnings.push(event.text)),
    })
    assert.equal(info.method, 'page-lsn', info.fullBecause ?? '')
    assert.match(warnings.join(), /summaries .*changed pages are found by their LSN instead/)
    assert.ok(info.bytes.changed < first.bytes.changed / 2)
  })

  it('becomes a full when WAL since the reference is gone, and says why', async () => {
    await using directory = temporaryDirectory()
    await using pg = await startPostgres({
      major: 18,
      settings: { max_wal_size: '32MB', min_wal_size: '32MB' },
    })
    const repository = join(directory.path, 'repository')
    const first = await backUp(pg, repository)
    for (let n = 0; n < 6; n += 1) {
      await pg.query('create table x as select 1 as one; drop table x')
      await pg.query('select pg_switch_wal()')
      await pg.query('checkpoint')
    }
    const second = await backUp(pg, repository)
    assert.equal(second.type, 'full')
    assert.match(
      second.fullBecause ?? '',
      new RegExp(`the WAL since backup ${first.id} is not held without a gap`),
    )
    const third = await backUp(pg, repository)
    assert.equal(third.type, 'changed-pages', third.fullBecause ?? '')
  })

  it('does not store pages without LSN again, unless they differ: a zero page replaces old rows', async () => {
    await using directory = temporaryDirectory()
    await using pg = await startPostgres({
      major: 15,
      settings: { wal_level: 'minimal', max_wal_senders: 0, autovacuum: 'off' },
    })
    // Without WAL the index gets no LSN.
    await pg.query(
      `begin; create table t as select g as id, md5(g::text) as text from generate_series(1, 60000) g; create index on t (text); commit`,
    )
    await pg.query('vacuum freeze t')
    const [{ path } = { path: '' }] = (await pg.query(
      `select pg_relation_filepath('t') as path`,
    )) as { path: string }[]
    for (const setting of ['wal_level = replica', 'max_wal_senders = 5', `wal_keep_size = '1GB'`]) {
      await pg.query(`alter system set ${setting}`)
    }
    await pg.stop()
    await pg.start()
    const repository = join(directory.path, 'repository')
    const first = await backUp(pg, repository)
    const second = await backUp(pg, repository)
    assert.equal(second.type, 'changed-pages', second.fullBecause ?? '')
    assert.ok(first.bytes.changed > 10_000_000)
    assert.ok(second.bytes.changed < 6_000_000, `${second.bytes.changed} bytes`)
    await pg.stop()
    const file = await open(join(pg.directory, path), 'r+')
    await file.write(Buffer.alloc(8192), 0, 8192, 5 * 8192)
    await file.close()
    await pg.start()
    const third = await backUp(pg, repository)
    assert.equal(third.type, 'changed-pages', third.fullBecause ?? '')
    const target = join(directory.path, 'restored')
    await readRepository(repository, 'test', third.id, target)
    const restored = await readFile(join(target, path))
    assert.ok(restored.subarray(5 * 8192, 6 * 8192).every((byte) => byte === 0))
    assert.ok(restored.equals(await readFile(join(pg.directory, path))))
  })
})
