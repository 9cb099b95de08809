/** The receiver follows promotions by the history file, keeps what the old timeline had more, and refuses servers of the past. */
import assert from 'node:assert/strict'
import { renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { matrixMajors, startPostgres, type TestServer } from '../../harness/postgres.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { until } from '../../harness/until.ts'
import { findGaps, reachableEnd } from '../../../src/wal/continuity.ts'
import { listGaps } from '../../../src/wal/gaps.ts'
import { loadContinuity } from '../../../src/wal/load-continuity.ts'
import {
  assertSameAsPrimary,
  claimFor,
  cloneStandby,
  copyDirectory,
  LOAD,
  promote,
  startReceiver,
  switchWal,
  untilReceived,
} from './support.ts'

for (const major of matrixMajors()) {
  describe(`timelines on PostgreSQL ${major}`, () => {
    it('follows a promotion of the server it streams from', async () => {
      await using folder = temporaryDirectory()
      await using copy = temporaryDirectory()
      await using pg = await startPostgres({ major })
      await using standby = await cloneStandby(pg, join(copy.path, 'data'))
      const repository = await claimFor(standby, folder.path)
      await using receiver = startReceiver(standby, repository)
      await pg.query(LOAD)
      await untilStreaming(standby)
      await promote(standby)
      await standby.query(LOAD)
      const last = await switchWal(standby)
      await assertSameAsPrimary(standby, repository, last, 1)
      assert.match(last, /^00000002/)
      assert.ok((await repository.wal.getHistory(2)) !== undefined)
      const partials = await repository.wal.listPartials('00000001')
      assert.equal(partials.length, 1, 'the old timeline left its unfinished segment')
      assert.deepEqual(await listGaps(repository), [])
      assert.ok(receiver.events.some((event) => event.kind === 'timeline-switched'))
      await assertReachable(repository, 2)
    })

    it('goes on with a promoted standby and keeps what the dead primary had more', async () => {
      await using folder = temporaryDirectory()
      await using copy = temporaryDirectory()
      await using pg = await startPostgres({ major })
      await using standby = await cloneStandby(pg, join(copy.path, 'data'))
      const repository = await claimFor(pg, folder.path)
      {
        await using _receiver = startReceiver(pg, repository)
        await pg.query(LOAD)
        await untilReceived(pg)
        await standby.stop()
        // The standby never sees this; the receiver does.
        await pg.query('create table lost as select generate_series(1, 1000)')
        await untilReceived(pg)
        await pg.kill()
      }
      await standby.start()
      await promote(standby)
      await using receiver = startReceiver(standby, repository)
      await standby.query(LOAD)
      const last = await switchWal(standby)
      await assertSameAsPrimary(standby, repository, last, 1)
      assert.deepEqual(await listGaps(repository), [])
      assert.ok(receiver.events.some((event) => event.kind === 'left-behind'))
      assert.equal((await repository.wal.listPartials('00000001')).length, 1)
      await assertReachable(repository, 2)

      await receiver.stop()
      await pg.start()
      await using refused = startReceiver(pg, repository)
      const problem = await until('the former primary to be refused', async () => {
        const status = await refused.status()
        return status?.state === 'refused' && status.lastError
      })
      assert.equal(problem.code, 'POSTGRES_IDENTITY')
      assert.match(problem.message, /timeline 1, but WAL of timeline 2 is held/)
    })

    it('refuses a primary that was restored to an older state, before and after it has moved on', async () => {
      await using folder = temporaryDirectory()
      await using copy = temporaryDirectory()
      await using pg = await startPostgres({ major })
      const repository = await claimFor(pg, folder.path)
      await pg.query(LOAD)
      await pg.stop()
      copyDirectory(pg.directory, join(copy.path, 'old'))
      await pg.start()
      {
        await using _receiver = startReceiver(pg, repository)
        await pg.query('create table future as select generate_series(1, 1000)')
        await untilReceived(pg)
      }
      const before = await snapshot(repository)
      await pg.stop('immediate')
      rmSync(pg.directory, { recursive: true })
      renameSync(join(copy.path, 'old'), pg.directory)
      await pg.start()

      const early = await refusal(pg, repository)
      assert.equal(early.code, 'POSTGRES_IDENTITY')
      assert.match(early.message, /restored to an older state/)

      await pg.query(LOAD)
      const late = await refusal(pg, repository)
      assert.equal(late.code, 'POSTGRES_IDENTITY')
      assert.match(late.message, /next record follows/)
      assert.deepEqual(await snapshot(repository), before, 'nothing was overwritten')
    })
  })
}

type Repository = Awaited<ReturnType<typeof claimFor>>

async function untilStreaming(pg: TestServer): Promise<void> {
  await until('the receiver to stream', async () => {
    const rows = await pg.query(
      `select 1 from pg_stat_replication where application_name = 'vault' and state = 'streaming'`,
    )
    return rows.length > 0
  })
}

async function refusal(
  pg: TestServer,
  repository: Repository,
): Promise<{ code: string; message: string }> {
  await using receiver = startReceiver(pg, repository)
  return await until('the server to be refused', async () => {
    const status = await receiver.status()
    return status?.state === 'refused' && status.lastError
  })
}

/** What can be recovered along the newest timeline, as text. */
async function snapshot(repository: Repository): Promise<string> {
  const map = await loadContinuity(repository)
  const ranges = [...map.ranges.values()].flat()
  return ranges.map(({ timeline, endLsn }) => `${timeline}:${endLsn}`).join(' ')
}

async function assertReachable(repository: Repository, timeline: number): Promise<void> {
  const map = await loadContinuity(repository)
  const history = map.histories.get(timeline)
  const first = map.ranges.get(1)?.[0]
  assert.ok(history !== undefined && first !== undefined)
  assert.deepEqual(findGaps(map), [])
  const end = reachableEnd(map, { timeline: 1, lsn: first.startLsn }, history)
  assert.equal(end?.timeline, timeline)
}
