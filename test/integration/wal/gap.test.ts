/** What the server removed before it was received is recorded as a gap, and receiving goes on after it. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { findGaps } from '../../../src/wal/continuity.ts'
import { listGaps } from '../../../src/wal/gaps.ts'
import { loadContinuity } from '../../../src/wal/load-continuity.ts'
import { matrixMajors, startPostgres, type TestServer } from '../../harness/postgres.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { until } from '../../harness/until.ts'
import {
  assertSameAsPrimary,
  claimFor,
  LOAD,
  SLOT,
  startReceiver,
  switchWal,
  untilReceived,
} from './support.ts'

const SMALL = { min_wal_size: '32MB', max_wal_size: '32MB' }

for (const major of matrixMajors()) {
  describe(`gaps on PostgreSQL ${major}`, () => {
    it('are recorded when the slot was dropped and the WAL removed', async () => {
      await using pg = await startPostgres({ major, settings: SMALL })
      await assertGap(pg, async () => {
        await pg.query(`select pg_drop_replication_slot('${SLOT}')`)
        await pushOn(pg)
      })
    })

    it(
      'are recorded when the slot was invalidated',
      { skip: major < 13 && 'before 13 slots keep WAL without limit' },
      async () => {
        await using pg = await startPostgres({
          major,
          settings: { ...SMALL, max_slot_wal_keep_size: '16MB' },
        })
        await assertGap(pg, async () => pushOn(pg))
        const [slot] = await pg.query(`select wal_status from pg_replication_slots`)
        assert.equal(slot?.['wal_status'], 'reserved', 'the slot was made anew')
      },
    )
  })
}

/** Much WAL, several checkpoints: what nothing holds back goes. */
async function pushOn(pg: TestServer): Promise<void> {
  for (let round = 0; round < 4; round += 1) {
    await pg.query(LOAD)
    await switchWal(pg)
    await pg.query('checkpoint')
  }
}

async function assertGap(pg: TestServer, loseWal: () => Promise<void>): Promise<void> {
  await using folder = temporaryDirectory()
  const repository = await claimFor(pg, folder.path)
  const before = startReceiver(pg, repository)
  // A checkpoint that runs while a slot is made may remove the WAL that the slot reserves, a gap of its own: none may begin before.
  await untilReceived(pg)
  await pg.query(LOAD)
  const end = await untilReceived(pg)
  await before.stop()
  await loseWal()

  await using receiver = startReceiver(pg, repository)
  await until('receiving to go on', async () => (await receiver.status())?.newGaps === 1)
  await untilReceived(pg)
  await pg.query(LOAD)
  await assertSameAsPrimary(pg, repository, await switchWal(pg), 1)
  const [gap, ...more] = await listGaps(repository)
  assert.deepEqual(more, [])
  assert.ok(gap !== undefined && gap.startLsn <= end && gap.endLsn > end)
  assert.match(gap.reason, /removed/)
  const [hole] = findGaps(await loadContinuity(repository))
  assert.equal(hole?.endLsn, gap.endLsn, 'the map sees the same hole')
  const kinds = receiver.events.map((event) => event.kind)
  assert.ok(kinds.includes('gap') && kinds.includes('slot-created'), kinds.join(' '))
}
