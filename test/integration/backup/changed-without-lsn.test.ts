/**
 * Pages that change without a new page LSN: what a backup takes over from an older one must be the server's page now.
 */
import assert from 'node:assert/strict'
import { open, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { crc32c } from '@node-rs/crc32'
import { Client } from 'pg'
import { PAGE_BYTES } from '../../../src/repository/format.ts'
import {
  availableMajors,
  matrixMajors,
  startPostgres,
  temporaryDirectory,
  type TestServer,
} from '../../harness/postgres.ts'
import { enableChecksums } from './enable-checksums.ts'
import { backUp, readRepository, restoreAndOpen, verifyAll } from './support.ts'

/** Nothing moves by itself; WAL stays until the next backup fetches it. */
const calm = (major: number): Record<string, string | number> => ({
  autovacuum: 'off',
  bgwriter_lru_maxpages: 0,
  ...(major >= 13 ? { wal_keep_size: '1GB' } : { wal_keep_segments: 64 }),
})

async function pathOf(pg: TestServer, table: string, database?: string): Promise<string> {
  const [row] = await pg.query(`select pg_relation_filepath('${table}') as path`, database)
  return String(row?.['path'])
}

/** The file of a restored backup is what the server has. The server is stopped. */
async function assertSameFile(pg: TestServer, target: string, path: string): Promise<void> {
  const [restored, there] = await Promise.all([
    readFile(join(target, path)),
    readFile(join(pg.directory, path)),
  ])
  assert.ok(restored.equals(there), `${path} differs`)
}

/** Changes bytes of one page of a stopped server's file; returns what was there. */
async function overwrite(path: string, position: number, content: Uint8Array): Promise<Buffer> {
  await using file = await open(path, 'r+')
  const before = Buffer.alloc(content.length)
  await file.read(before, 0, before.length, position)
  await file.write(content, 0, content.length, position)
  return before
}

/** Puts other CRCs than its pages have into every file of more than one page, sealed as the right ones are. */
async function forge(path: string): Promise<void> {
  const content = await readFile(path)
  const head = 24
  for (let from = head, at = head + 4; at < content.length; at += 4) {
    const words = content.subarray(from, at)
    if (crc32c(words) !== content.readUInt32LE(at)) continue
    if (words.length > 4) content.writeUInt32LE((words.readUInt32LE(0) ^ 1) >>> 0, from)
    content.writeUInt32LE(crc32c(words), at)
    from = at + 4
    at += 4
  }
  await writeFile(path, content)
}

describe('a page that changed without a new LSN', () => {
  for (const major of availableMajors().filter((each) => each === 15 || each === 18)) {
    it(`by a hint bit that the checkpoint raced with is stored (${major})`, async () => {
      await using directory = temporaryDirectory()
      await using pg = await startPostgres({
        major,
        settings: {
          ...calm(major),
          shared_buffers: '256MB',
          max_wal_size: '8GB',
          checkpoint_timeout: '1h',
        },
      })
      await pg.query('create table t (id int, f char(40)) with (autovacuum_enabled = off)')
      await pg.query('create index on t (id)')
      await pg.query(`insert into t select g, 'x' from generate_series(1, 1000000) g`)
      await pg.query(
        `create function look() returns bigint language sql set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off set enable_bitmapscan = off as $$ select count(t.f) from (select (1 + floor(random() * 1000000))::int as id from generate_series(1, 20000)) r join t using (id) $$`,
      )
      const readers = [1, 2, 3].map(() => new Client({ ...clientOf(pg) }))
      await Promise.all(readers.map((reader) => reader.connect()))
      const backedUp = new AbortController()
      const reading = readers.map(async (reader) => {
        while (!backedUp.signal.aborted) await reader.query('select look()')
        // Some more: hint bits of rows that the backup has read.
        for (let n = 0; n < 5; n += 1) await reader.query('select look()')
        await reader.end()
      })
      const repository = join(directory.path, 'repository')
      await backUp(pg, repository)
      backedUp.abort()
      await Promise.all(reading)
      await pg.query('checkpoint')
      const second = await backUp(pg, repository)
      assert.equal(second.type, 'changed-pages', second.fullBecause ?? '')
      await verifyAll(repository)
    })
  }

  for (const major of matrixMajors()) {
    it(`by hint bits before wal_log_hints was switched on is stored (${major})`, async () => {
      await using directory = temporaryDirectory()
      await using pg = await startPostgres({
        major,
        settings: calm(major),
        initdbArguments: ['--no-data-checksums'],
      })
      await pg.query(`create table t as select g as id from generate_series(1, 50000) g`)
      const path = await pathOf(pg, 't')
      const repository = join(directory.path, 'repository')
      await backUp(pg, repository)
      await pg.query('select count(*) from t')
      await pg.query('alter system set wal_log_hints = on')
      await pg.stop()
      await pg.start()
      const second = await backUp(pg, repository)
      assert.equal(second.type, 'changed-pages', second.fullBecause ?? '')
      await verifyAll(repository)
      await pg.stop()
      const target = join(directory.path, 'restored')
      await readRepository(repository, 'test', second.id, target)
      await assertSameFile(pg, target, path)
    })
  }

  for (const [what, spoil] of [
    ['are missing', (path: string) => rm(path)],
    ['are damaged', (path: string) => overwrite(path, 100, Buffer.from('damage'))],
    ['end too early', (path: string) => truncate(path, 100)],
    ['are those of another state', forge],
  ] as const) {
    it(`by hint bits is stored when the reference's CRCs of pages ${what}`, async () => {
      await using directory = temporaryDirectory()
      await using pg = await startPostgres({
        major: 18,
        settings: { ...calm(18), wal_log_hints: 'off' },
        initdbArguments: ['--no-data-checksums'],
      })
      await pg.query(`create table t as select g as id from generate_series(1, 50000) g`)
      const path = await pathOf(pg, 't')
      const repository = join(directory.path, 'repository')
      const first = await backUp(pg, repository)
      await spoil(join(repository, 'test/backups', first.id, 'pages.crc'))
      await pg.query('select count(*) from t where id < 1000')
      await pg.query('checkpoint')
      const second = await backUp(pg, repository)
      assert.equal(second.type, 'changed-pages', second.fullBecause ?? '')
      assert.ok(second.bytes.changed < first.bytes.changed / 2)
      await verifyAll(repository)
      await pg.stop()
      const target = join(directory.path, 'restored')
      await readRepository(repository, 'test', second.id, target)
      await assertSameFile(pg, target, path)
    })
  }

  for (const major of matrixMajors().filter((each) => each >= 13)) {
    for (const summarize of major >= 17 ? [true, false] : [false]) {
      const way = summarize ? 'with summaries' : 'without summaries'
      it(`by checksums enabled offline is stored (${major}, ${way})`, async () => {
        await using directory = temporaryDirectory()
        await using pg = await startPostgres({
          major,
          settings: { ...calm(major), ...(summarize ? { summarize_wal: 'on' } : {}) },
          initdbArguments: ['--no-data-checksums'],
        })
        await pg.query(`create table t as select g as id from generate_series(1, 50000) g`)
        const repository = join(directory.path, 'repository')
        const first = await backUp(pg, repository)
        await pg.stop()
        enableChecksums(pg.directory)
        await pg.start()
        const second = await backUp(pg, repository)
        assert.equal(second.type, 'full')
        assert.equal(second.fullBecause, `data checksums were off in backup ${first.id} and are on`)
        await verifyAll(repository)
        const target = join(directory.path, 'restored')
        await using restored = await restoreAndOpen(pg, {
          directory: repository,
          id: second.id,
          target,
        })
        assert.deepEqual(await restored.query('select sum(id) as sum from t'), [
          { sum: '1250025000' },
        ])
      })
    }
  }

  for (const major of matrixMajors().filter((each) => each >= 15)) {
    for (const summarize of major >= 17 ? [true, false] : [false]) {
      const way = summarize ? 'with summaries' : 'without summaries'
      it(`in a database made again under its OID by copying files is stored (${major}, ${way})`, async () => {
        await using directory = temporaryDirectory()
        await using pg = await startPostgres({
          major,
          settings: { ...calm(major), ...(summarize ? { summarize_wal: 'on' } : {}) },
        })
        for (const [name, seed] of [
          ['one', 0],
          ['two', 7],
        ] as const) {
          await pg.query(`create database ${name} strategy file_copy`)
          await pg.query(
            `create table t as select md5((g + ${seed})::text) as text from generate_series(1, 5000) g`,
            name,
          )
          await pg.query('vacuum freeze t', name)
        }
        // The templates have older LSNs than the reference.
        await pg.query('checkpoint')
        await pg.query('create database copied oid 50000 template one strategy file_copy')
        const repository = join(directory.path, 'repository')
        await backUp(pg, repository)
        await pg.query('drop database copied')
        await pg.query('create database copied oid 50000 template two strategy file_copy')
        const second = await backUp(pg, repository)
        assert.equal(second.type, 'changed-pages', second.fullBecause ?? '')
        await verifyAll(repository)
        const target = join(directory.path, 'restored')
        await using restored = await restoreAndOpen(pg, {
          directory: repository,
          id: second.id,
          target,
        })
        const sum = 'select sum(hashtext(text)) as sum from t'
        assert.deepEqual(await restored.query(sum, 'copied'), await pg.query(sum, 'two'))
      })
    }
  }

  for (const [checksums, summarize] of [
    [true, false],
    [true, true],
    [false, false],
  ] as const) {
    const way = `checksums ${checksums ? 'on' : 'off'}, ${summarize ? 'with' : 'without'} summaries`
    it(`because it was bad in the reference and is repaired is stored (${way})`, async () => {
      await using directory = temporaryDirectory()
      await using pg = await startPostgres({
        major: 18,
        settings: { ...calm(18), ...(summarize ? { summarize_wal: 'on' } : {}) },
        initdbArguments: checksums ? [] : ['--no-data-checksums'],
      })
      await pg.query(`create table t as select g as id from generate_series(1, 50000) g`)
      await pg.query('vacuum freeze t')
      const path = await pathOf(pg, 't')
      await pg.stop()
      const file = join(pg.directory, path)
      const position = 5 * PAGE_BYTES + 4000
      const right = await overwrite(file, position, Buffer.from('not what was written'))
      await pg.start()
      const repository = join(directory.path, 'repository')
      const first = await backUp(pg, repository)
      assert.equal(first.badPages.count, checksums ? 1 : 0)
      await pg.stop()
      await overwrite(file, position, right)
      await pg.start()
      const second = await backUp(pg, repository)
      assert.equal(second.type, 'changed-pages', second.fullBecause ?? '')
      assert.equal(second.badPages.count, 0)
      await verifyAll(repository)
      await pg.stop()
      const target = join(directory.path, 'restored')
      await readRepository(repository, 'test', second.id, target)
      await assertSameFile(pg, target, path)
    })
  }
})

function clientOf(pg: TestServer): {
  host: string
  port: number
  user: string
  password: string
  database: string
} {
  const { host, port, password } = pg
  return { host, port, user: pg.superuser, password, database: 'postgres' }
}
