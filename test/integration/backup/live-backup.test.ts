/**
 * Backups of servers that are busy, that are standbys, that change timeline, that have bad pages.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import {
  debianBinaries,
  matrixMajors,
  openPostgres,
  startPostgres,
  temporaryDirectory,
  type TestServer,
} from '../../harness/postgres.ts'
import { until } from '../../harness/until.ts'
import { BANK, busy, openBank } from './bank.ts'
import {
  backUp,
  giveToServer,
  readRepository,
  restoreAndOpen,
  verifyAll,
  standbyFrom,
} from './support.ts'

const run = promisify(execFile)
const KEEP = { wal_keep_size: '1GB' }

const KEEP_OF = (major: number): Readonly<Record<string, string | number>> =>
  major >= 13 ? KEEP : { wal_keep_segments: 64 }

describe('backup of a busy server', () => {
  const debian = debianBinaries(15)
  for (const { major, method } of [
    { major: 18, method: 'incremental' },
    { major: 15, method: 'page-lsn' },
  ] as const) {
    it(`${major}: full and ${method} are consistent, pass the page checks and PostgreSQL's own judges`, async () => {
      await using directory = temporaryDirectory()
      const binaries = major === 15 && debian !== undefined ? { binaries: debian } : {}
      const settings = {
        ...KEEP,
        ...(major === 18 ? { summarize_wal: 'on' } : {}),
        checkpoint_timeout: '30s',
      }
      await using pg = await startPostgres({ major, settings, ...binaries })
      await openBank(pg)
      const repository = join(directory.path, 'repository')
      const infos = []
      {
        await using load = busy(pg)
        const slow = { maxRateBytes: 8 * 1024 * 1024 }
        await until('some transfers', () => load.transfers() > 50)
        infos.push(await backUp(pg, repository, slow))
        infos.push(await backUp(pg, repository, slow))
      }
      await verifyAll(repository)
      assert.deepEqual(
        infos.map((info) => info.method),
        ['stream', method],
      )
      for (const info of infos) {
        assert.equal(info.badPages.count, 0)
        const target = join(directory.path, `restored-${info.id}`)
        await readRepository(repository, 'test', info.id, target)
        await giveToServer(target)
        if (debian !== undefined && major === 15) {
          await run(join(debian, 'pg_verifybackup'), ['-n', target])
        }
        {
          await using restored = await openPostgres({ major, directory: target, ...binaries })
          const [bank] = await restored.query(BANK)
          assert.deepEqual(bank, { money: '40000000', accounts: '40000', tallies: true })
          if (debian !== undefined && major === 15) {
            const connection = ['-h', restored.host, '-p', String(restored.port), '-U', 'postgres']
            const environment = { ...process.env, PGPASSWORD: pg.password }
            await run(
              join(debian, 'pg_amcheck'),
              [...connection, '--install-missing', '-d', 'postgres', '--heapallindexed'],
              { env: environment },
            )
          }
          await restored.stop()
        }
        if (debian !== undefined && major === 15) {
          await run(join(debian, 'pg_checksums'), ['--check', '-D', target])
        }
      }
    })
  }
})

/** A standby of `pg` made from a backup in `repository`. */
async function standbyOf(pg: TestServer, repository: string, target: string): Promise<TestServer> {
  const { id } = await backUp(pg, repository)
  return await standbyFrom(pg, { directory: repository, id, target })
}

describe('backup of a standby', () => {
  for (const { major, changed } of [
    { major: 18, changed: ['page-lsn', 'incremental'] },
    { major: 13, changed: ['page-lsn'] },
  ] as const) {
    it(`${major}: restores, says where it is from, and goes on over a promotion`, async () => {
      await using directory = temporaryDirectory()
      const settings = { ...KEEP, ...(major === 18 ? { summarize_wal: 'on' } : {}) }
      await using pg = await startPostgres({ major, settings })
      await pg.query(
        `create table t as select g as id, md5(g::text) as text from generate_series(1, 20000) g`,
      )
      const repository = join(directory.path, 'repository')
      await using standby = await standbyOf(pg, repository, join(directory.path, 'standby'))
      await pg.query(`insert into t select g, 'new' from generate_series(20001, 21000) g`)
      const rows = 'select count(*) as n, sum(hashtext(t::text)) as h from t'
      const expected = await pg.query(rows)
      await until(
        'the standby to catch up',
        async () => (await standby.query('select count(*)::int as n from t'))[0]?.['n'] === 21_000,
      )
      await pg.query('checkpoint')
      await pg.query('select pg_switch_wal()')

      const info = await backUp(standby, repository)
      assert.equal(info.source.role, 'standby')
      assert.equal(info.type, 'changed-pages', info.fullBecause ?? '')
      assert.ok((changed as readonly string[]).includes(info.method))
      {
        await using restored = await restoreAndOpen(standby, {
          directory: repository,
          id: info.id,
          target: join(directory.path, 'restored-1'),
        })
        assert.deepEqual(await restored.query(rows), expected)
      }

      await verifyAll(repository)
      await standby.query('select pg_promote()')
      await until(
        'the promotion',
        async () => (await standby.query('select pg_is_in_recovery() as r'))[0]?.['r'] === false,
      )
      await standby.query(`update t set text = 'promoted' where id % 10 = 0`)
      const after = await backUp(standby, repository)
      await verifyAll(repository)
      assert.equal(after.timeline, 2)
      assert.equal(after.source.role, 'primary')
      assert.deepEqual(
        [after.type, after.method],
        ['changed-pages', 'page-lsn'],
        after.fullBecause ?? '',
      )
      await using restored = await restoreAndOpen(standby, {
        directory: repository,
        id: after.id,
        target: join(directory.path, 'restored-2'),
      })
      assert.deepEqual(await restored.query(rows), await standby.query(rows))
    })
  }
})

describe('bad pages', () => {
  it('are named as file and block, and the backup is marked, in the next backup too', async () => {
    await using directory = temporaryDirectory()
    await using pg = await startPostgres({ major: 18, settings: { ...KEEP, summarize_wal: 'on' } })
    await pg.query(
      `create table t as select g as id, md5(g::text) as text from generate_series(1, 5000) g`,
    )
    const [{ path } = { path: '' }] = (await pg.query(
      `select pg_relation_filepath('t') as path`,
    )) as { path: string }[]
    const repository = join(directory.path, 'repository')
    const good = await backUp(pg, repository)
    await pg.stop()
    const file = await open(join(pg.directory, path), 'r+')
    await file.write(Buffer.from('damage'), 0, 6, 3 * 8192 + 5000)
    await file.close()
    await pg.start()
    const infos = [await backUp(pg, repository, { full: true }), await backUp(pg, repository)]
    assert.equal(good.status, 'done')
    for (const info of infos) {
      assert.equal(info.status, 'bad-pages')
      assert.deepEqual(info.badPages, { count: 1, list: [{ path, block: 3 }] })
    }
    assert.equal(infos[1]?.method, 'page-lsn', 'the server would not send an old bad page again')
  })

  for (const major of matrixMajors()) {
    it(`that the backup's own WAL writes anew are torn, not damaged (${major})`, async () => {
      await using directory = temporaryDirectory()
      const settings = { ...KEEP_OF(major), autovacuum: 'off', checkpoint_timeout: '1h' }
      await using pg = await startPostgres({ major, settings })
      await pg.query('create table t as select g as id from generate_series(1, 5000) g')
      await pg.query('vacuum freeze t')
      await pg.query('checkpoint')
      const [{ path } = { path: '' }] = (await pg.query(
        `select pg_relation_filepath('t') as path`,
      )) as { path: string }[]
      // The server has the page in memory; what is read from the disk is half of one write and half of another.
      await pg.query('select sum(id) from t')
      const file = await open(join(pg.directory, path), 'r+')
      await file.write(Buffer.alloc(4096, 7), 0, 4096, 3 * 8192 + 4096)
      await file.close()
      let changed: Promise<unknown> | undefined
      const repository = join(directory.path, 'repository')
      const info = await backUp(pg, repository, {
        maxRateBytes: 8 * 1024 * 1024,
        onEvent: (event) => {
          if (event.kind !== 'progress' || event.receivedBytes === 0) return
          changed ??= pg.query(`update t set id = -id where ctid = '(3,1)'`)
        },
      })
      await changed
      assert.deepEqual([info.status, info.badPages.count], ['done', 0])
      assert.deepEqual(info.tornPages, [{ path, block: 3 }])
      await verifyAll(repository)
      await using restored = await restoreAndOpen(pg, {
        directory: repository,
        id: info.id,
        target: join(directory.path, 'restored'),
      })
      const rows = 'select count(*) as n, sum(abs(id)) as sum from t'
      assert.deepEqual(await restored.query(rows), await pg.query(rows))
    })
  }
})

describe('WAL segments of other sizes', () => {
  for (const megabytes of [1, 64]) {
    it(`of ${megabytes} MB are fetched and restored`, async () => {
      await using directory = temporaryDirectory()
      const wal = { min_wal_size: '128MB', max_wal_size: '512MB', ...KEEP }
      await using pg = await startPostgres({
        major: 18,
        initdbArguments: [`--wal-segsize=${megabytes}`],
        settings: wal,
      })
      await pg.query(
        `create table t as select g as id, md5(g::text) as text from generate_series(1, 50000) g`,
      )
      const repository = join(directory.path, 'repository')
      const info = await backUp(pg, repository)
      assert.equal(info.postgres.segmentBytes, megabytes * 1024 * 1024)
      await pg.query(`update t set text = 'x' where id % 10 = 0`)
      const second = await backUp(pg, repository)
      await verifyAll(repository)
      assert.equal(second.type, 'changed-pages', second.fullBecause ?? '')
      await using restored = await restoreAndOpen(pg, {
        directory: repository,
        id: second.id,
        target: join(directory.path, 'restored'),
      })
      const rows = 'select count(*) as n, sum(hashtext(t::text)) as h from t'
      assert.deepEqual(await restored.query(rows), await pg.query(rows))
    })
  }
})
