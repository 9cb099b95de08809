/** WAL that a backup without a receiver takes from the server is judged before it is stored. */
import assert from 'node:assert/strict'
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { openCluster } from '../../../src/repository/cluster-repository.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { listGaps } from '../../../src/wal/gaps.ts'
import {
  matrixMajors,
  startPostgres,
  temporaryDirectory,
  type TestServer,
} from '../../harness/postgres.ts'
import { switchWal } from '../wal/support.ts'
import { backUp, verifyAll } from './support.ts'

const startServer = (major: (typeof MAJORS)[number]): Promise<TestServer> =>
  startPostgres({
    major,
    initdbArguments: ['--wal-segsize=1'],
    settings: {
      autovacuum: 'off',
      ...(major >= 13 ? { wal_keep_size: '200MB' } : { wal_keep_segments: 200 }),
    },
  })

const MAJORS = matrixMajors()

/** Flips a bit in the middle of a finished segment, where records of a table's rows are. */
function flipBit(pg: TestServer, name: string): void {
  const path = join(pg.directory, 'pg_wal', name)
  const content = readFileSync(path)
  const at = content.indexOf('the row to be damaged')
  assert.ok(at > 0)
  content[at] = (content[at] ?? 0) ^ 1
  writeFileSync(path, content)
}

async function restartWith(pg: TestServer, walLevel: string, senders: number): Promise<void> {
  await pg.stop()
  const lines = `wal_level = '${walLevel}'\nmax_wal_senders = ${senders}\n`
  appendFileSync(join(pg.directory, 'postgresql.conf'), lines)
  await pg.start()
}

for (const major of MAJORS) {
  describe(`WAL fetched for a backup of PostgreSQL ${major}`, () => {
    it('is not stored when a record in it is damaged, and the backup is a full one', async () => {
      await using folder = temporaryDirectory()
      await using pg = await startServer(major)
      await pg.query('create table t(text text)')
      await backUp(pg, folder.path)
      await pg.query(`insert into t values ('the row to be damaged')`)
      const damaged = await switchWal(pg)
      await pg.query(`insert into t values ('another')`)
      await switchWal(pg)
      await pg.stop()
      flipBit(pg, damaged)
      await pg.start()
      const { type, fullBecause } = await backUp(pg, folder.path)
      assert.equal(type, 'full')
      assert.match(fullBecause ?? '', new RegExp(`"${damaged}".*CRC`))
      const cluster = await openCluster(new DiskStore(folder.path), 'test', systemClock)
      assert.equal(await cluster.wal.hasSegment(damaged), false)
      await verifyAll(folder.path)
      await pg.query(`insert into t values ('one more')`)
      assert.equal((await backUp(pg, folder.path)).type, 'changed-pages')
    })

    it('is a barrier where it was written under wal_level = minimal', async () => {
      await using folder = temporaryDirectory()
      await using pg = await startServer(major)
      await backUp(pg, folder.path)
      await restartWith(pg, 'minimal', 0)
      await pg.query('create table bulk as select 1')
      await restartWith(pg, 'replica', 10)
      await switchWal(pg)
      await backUp(pg, folder.path)
      const cluster = await openCluster(new DiskStore(folder.path), 'test', systemClock)
      const [gap, ...others] = await listGaps(cluster)
      assert.match(gap?.reason ?? '', /wal_level = minimal/)
      assert.equal(others.length, 0)
    })
  })
}
