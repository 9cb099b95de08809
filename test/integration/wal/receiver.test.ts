/** The receiver against real servers: what it stores is what the primary wrote, and it goes on wherever it was cut off. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { PostgresMajor } from '../../../src/postgres/version.ts'
import { debianBinaries, matrixMajors, startPostgres } from '../../harness/postgres.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { until } from '../../harness/until.ts'
import {
  assertSameAsPrimary,
  claimFor,
  LOAD,
  SLOT,
  spawnReceiver,
  startReceiver,
  switchWal,
  untilReceived,
} from './support.ts'

/** A role as Barman's how-to makes it: it may receive, and may not log in for SQL. */
const ONLY_WAL = { user: 'only_wal', password: 'only-wal', applicationName: 'vault' }
const ONLY_WAL_HBA = [
  'host replication only_wal 127.0.0.1/32 scram-sha-256',
  'host all only_wal all reject',
]

for (const major of matrixMajors()) {
  describe(`receiver on PostgreSQL ${major}`, { concurrency: 1 }, () => {
    it('stores segments byte for byte as the primary has them', async () => {
      await using folder = temporaryDirectory()
      await using pg = await startPostgres({ major })
      const repository = await claimFor(pg, folder.path)
      await using receiver = startReceiver(pg, repository)
      await untilReceived(pg)
      await pg.query(LOAD)
      await pg.query(LOAD)
      await assertSameAsPrimary(pg, repository, await switchWal(pg))
      await receiver.stop()
      assert.deepEqual(
        receiver.events.filter((event) => event.error !== undefined),
        [],
      )
    })

    it('keeps a slot that reserves WAL from the start, and moves it with what is durable', async () => {
      await using folder = temporaryDirectory()
      await using pg = await startPostgres({ major })
      await using _receiver = startReceiver(pg, await claimFor(pg, folder.path))
      await pg.query(LOAD)
      const received = await untilReceived(pg)
      const [slot] = await pg.query(
        `select active, restart_lsn::text as lsn from pg_replication_slots where slot_name = '${SLOT}'`,
      )
      assert.equal(slot?.['active'], true)
      assert.ok(received > 0n)
      assert.notEqual(slot?.['lsn'], null)
    })

    for (const mayAsk of [true, false]) {
      const claim = mayAsk
        ? 'begins at the WAL that a slot kept before it came'
        : 'begins at the present segment where only SQL could tell what a slot kept, and may not'
      it(claim, { skip: !mayAsk && major >= 15 && 'before 15 only' }, async () => {
        await using folder = temporaryDirectory()
        await using pg = await startPostgres({ major, hba: ONLY_WAL_HBA })
        await pg.query(`create role only_wal with login replication password 'only-wal'`)
        await pg.query(`select pg_create_physical_replication_slot('${SLOT}', true)`)
        const kept = await switchWal(pg)
        await pg.query(LOAD)
        const servers = [{ ...pg.connection, ...ONLY_WAL }]
        const repository = await claimFor(pg, folder.path)
        const change = { servers, ...(mayAsk && { sql: pg.connection }) }
        await using _receiver = startReceiver(pg, repository, change)
        await untilReceived(pg)
        await assertSameAsPrimary(pg, repository, mayAsk ? kept : await switchWal(pg), 1)
        assert.equal(await repository.wal.hasSegment(kept), mayAsk)
      })
    }

    it('acknowledges in order when it is stopped, and a fast shutdown of the server does not wait for it', async () => {
      await using folder = temporaryDirectory()
      await using pg = await startPostgres({ major })
      const repository = await claimFor(pg, folder.path)
      await using receiver = startReceiver(pg, repository)
      await pg.query(LOAD)
      await untilReceived(pg)
      await pg.stop('fast')
      await until(
        'the receiver to notice',
        async () => (await receiver.status())?.state === 'waiting',
      )
      await pg.start()
      await pg.query(LOAD)
      await untilReceived(pg)
      await assertSameAsPrimary(pg, repository, await switchWal(pg))
      const status = await receiver.status()
      assert.equal(status?.state, 'streaming')
      assert.equal(status?.newGaps, 0)
    })

    it('goes on after SIGKILL at any moment without losing or changing a byte', async () => {
      await using folder = temporaryDirectory()
      await using pg = await startPostgres({ major })
      const repository = await claimFor(pg, folder.path)
      for (let round = 0; round < 4; round += 1) {
        await using receiver = spawnReceiver(pg, folder.path)
        const load = pg.query(LOAD)
        await until('the receiver to stream', async () => isStreaming(pg))
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 150))
        await receiver.kill('SIGKILL')
        await load
      }
      await using _receiver = startReceiver(pg, repository)
      await pg.query(LOAD)
      const last = await switchWal(pg)
      await assertSameAsPrimary(pg, repository, last)
      if (major === 15) await assertReadable(repository, last)
    })
  })
}

async function isStreaming(pg: { query(sql: string): Promise<unknown[]> }): Promise<boolean> {
  const sql = `select 1 from pg_stat_replication where application_name = 'vault' and state in ('streaming', 'catchup')`
  return (await pg.query(sql)).length > 0
}

async function assertReadable(
  repository: Awaited<ReturnType<typeof claimFor>>,
  name: string,
): Promise<void> {
  const binaries = debianBinaries(15)
  if (binaries === undefined) return
  await using folder = temporaryDirectory()
  mkdirSync(join(folder.path, 'wal'))
  const path = join(folder.path, 'wal', name)
  writeFileSync(path, (await repository.wal.getSegment(name)) as Buffer)
  const output = execFileSync(join(binaries, 'pg_waldump'), ['--quiet', path], { encoding: 'utf8' })
  assert.equal(output, '')
}

const SIZES: readonly { major: PostgresMajor; megabytes: number }[] = [
  { major: 15, megabytes: 1 },
  { major: 18, megabytes: 1 },
  { major: 18, megabytes: 64 },
]

for (const { major, megabytes } of SIZES.filter(({ major }) => matrixMajors().includes(major))) {
  it(`receives ${megabytes} MB segments of PostgreSQL ${major}`, async () => {
    await using folder = temporaryDirectory()
    await using pg = await startPostgres({
      major,
      initdbArguments: [`--wal-segsize=${megabytes}`],
    })
    const repository = await claimFor(pg, folder.path)
    assert.equal(repository.identity.segmentBytes, megabytes * 1024 * 1024)
    await using _receiver = startReceiver(pg, repository)
    await pg.query(LOAD)
    await assertSameAsPrimary(pg, repository, await switchWal(pg), 1)
  })
}
