/** Backups of a busy standby without a receiver, several of which end in one segment: none is refused for what another stored. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Client } from 'pg'
import { segmentOf } from '../../../src/postgres/segment-name.ts'
import type { PostgresMajor } from '../../../src/postgres/version.ts'
import type { BackupInfo } from '../../../src/repository/backup-info.ts'
import { openCluster } from '../../../src/repository/cluster-repository.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { startPostgres, temporaryDirectory, type TestServer } from '../../harness/postgres.ts'
import { backUp, restoreAndOpen, verifyAll, standbyFrom } from './support.ts'

const ROUNDS = 8
/** So slow that several backups end on one page of the WAL. */
const PAUSE_MS = 150
const ROWS = 'select count(*)::int as n, coalesce(max(id), 0) as last from t'

/** Writes a little all the time: the backups' ends differ, and stay close together. */
function writing(pg: TestServer): AsyncDisposable {
  const stop = new AbortController()
  const work = async (): Promise<void> => {
    const client = new Client({ ...pg.connection, database: 'postgres', password: pg.password })
    await client.connect()
    while (!stop.signal.aborted) {
      await client.query(`insert into t(text) values ('x')`)
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    }
    await client.end()
  }
  const working = work()
  return {
    async [Symbol.asyncDispose]() {
      stop.abort()
      await working
    },
  }
}

/** A standby of `pg` made from a backup in `repository`. */
async function standbyOf(pg: TestServer, repository: string, target: string): Promise<TestServer> {
  const { id } = await backUp(pg, repository)
  return await standbyFrom(pg, { directory: repository, id, target })
}

/** Segments in which the backups end. */
function endsOf(infos: readonly BackupInfo[]): Set<bigint> {
  const place = { timeline: 1, segmentBytes: 16 * 1024 * 1024 }
  return new Set(infos.map(({ stopLsn }) => segmentOf(stopLsn, place).number))
}

/** A backup, and how many rows the standby had before it began. */
interface Taken {
  readonly info: BackupInfo
  readonly rows: number
}

async function takeRound(pg: TestServer, standby: TestServer, path: string): Promise<Taken> {
  await using _load = writing(pg)
  const [row] = await standby.query(ROWS)
  return { rows: Number(row?.['n']), info: await backUp(standby, path) }
}

describe('backups of a busy standby without a receiver', () => {
  for (const major of [18, 15] satisfies PostgresMajor[]) {
    it(`are all taken and restored (${major})`, async () => {
      await using folder = temporaryDirectory()
      const settings = { wal_keep_size: '1GB', autovacuum: 'off' }
      await using pg = await startPostgres({ major, settings })
      await pg.query('create table t(id serial, text text)')
      const path = join(folder.path, 'repository')
      await using standby = await standbyOf(pg, path, join(folder.path, 'standby'))
      const taken: Taken[] = []
      for (let round = 0; round < ROUNDS; round += 1) {
        taken.push(await takeRound(pg, standby, path))
      }
      const infos = taken.map(({ info }) => info)
      assert.equal(infos.length, ROUNDS)
      assert.ok(infos.every(({ status, source }) => status === 'done' && source.role === 'standby'))
      assert.ok(endsOf(infos).size < ROUNDS, 'some end in one segment')
      const cluster = await openCluster(new DiskStore(path), 'test', systemClock)
      const partials = await cluster.wal.listPartials('00000001')
      assert.ok(partials.length > new Set(partials.map(({ segment }) => segment)).size)
      await verifyAll(path)
      for (const { info, rows } of taken.filter((_one, at) => at === 0 || at === ROUNDS - 1)) {
        await using restored = await restoreAndOpen(pg, {
          directory: path,
          id: info.id,
          target: join(folder.path, `restored-${info.id}`),
        })
        const [row] = await restored.query(ROWS)
        assert.ok(Number(row?.['n']) >= rows, `${String(row?.['n'])} of ${rows} rows`)
        assert.equal(row?.['n'], row?.['last'], 'no row is missing in between')
      }
    })
  }
})
