/** WAL that was written under wal_level = minimal is named, and no way leads through it. */
import assert from 'node:assert/strict'
import { appendFileSync, readdirSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { openCluster } from '../../../src/repository/cluster-repository.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { loadSources } from '../../../src/restore/load-sources.ts'
import { planRestore } from '../../../src/restore/plan.ts'
import { backstay } from '../cli/programs.ts'
import { startVault } from '../restore/vault.ts'
import { formatLsn, type Lsn, parseLsn } from '../../../src/postgres/lsn.ts'
import { findGaps, reachableEnd, recoverableWindows } from '../../../src/wal/continuity.ts'
import { listGaps } from '../../../src/wal/gaps.ts'
import { loadContinuity } from '../../../src/wal/load-continuity.ts'
import { pushWalFile } from '../../../src/wal/push.ts'
import { matrixMajors, startPostgres, type TestServer } from '../../harness/postgres.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { claimFor, startReceiver, storedSegment, switchWal, untilReceived } from './support.ts'

async function restartWith(pg: TestServer, walLevel: string, senders: number): Promise<void> {
  await pg.stop()
  const lines = `wal_level = '${walLevel}'\nmax_wal_senders = ${senders}\n`
  appendFileSync(join(pg.directory, 'postgresql.conf'), lines)
  await pg.start()
}

async function insertLsn(pg: TestServer): Promise<Lsn> {
  const [row] = await pg.query('select pg_current_wal_insert_lsn()::text as lsn')
  return parseLsn(String(row?.['lsn'])) as Lsn
}

/** A server whose WAL has a stretch under minimal, with positions before and after it. */
async function crossMinimal(pg: TestServer): Promise<{ before: Lsn; after: Lsn; last: string }> {
  await pg.query('create table load(text text)')
  const before = await insertLsn(pg)
  await restartWith(pg, 'minimal', 0)
  await pg.query(`create table bulk as select md5(i::text) from generate_series(1, 20000) i`)
  await restartWith(pg, 'replica', 10)
  const after = await insertLsn(pg)
  await pg.query('insert into load values (1)')
  return { before, after, last: await switchWal(pg) }
}

for (const major of matrixMajors()) {
  describe(`wal_level = minimal on PostgreSQL ${major}`, () => {
    it('is a barrier in WAL that was pushed', async () => {
      await using folder = temporaryDirectory()
      const settings = major >= 13 ? { wal_keep_size: '200MB' } : { wal_keep_segments: 200 }
      await using pg = await startPostgres({
        major,
        initdbArguments: ['--wal-segsize=1'],
        settings,
      })
      const repository = await claimFor(pg, folder.path)
      const start = await insertLsn(pg)
      const { before, after, last } = await crossMinimal(pg)
      const names = readdirSync(join(pg.directory, 'pg_wal'))
        .filter((name) => /^[0-9A-F]{24}$/.test(name) && name <= last)
        .toSorted()
      for (const name of names) await pushWalFile(repository, join(pg.directory, 'pg_wal', name))
      const map = await loadContinuity(repository)
      const [gap, ...others] = findGaps(map)
      assert.equal(others.length, 0)
      assert.ok(gap !== undefined && before <= gap.startLsn && gap.endLsn <= after)
      const [recorded] = await listGaps(repository)
      assert.match(recorded?.reason ?? '', /wal_level = minimal/)
      const line = { timeline: 1, switches: [] }
      const end = reachableEnd(map, { timeline: 1, lsn: start }, line)
      assert.equal(end && formatLsn(end.lsn), formatLsn(gap.startLsn))
      const later = recoverableWindows(
        [{ id: 'later', timeline: 1, startLsn: after, stopLsn: after }],
        map,
      )
      assert.ok(later[0] !== undefined && later[0].to.lsn > after, 'what begins after it goes on')
    })
  })
}

it('wal_level = minimal is found in WAL that an earlier version stored, by the plan and by wal gaps', async () => {
  await using pg = await startPostgres({
    major: 18,
    initdbArguments: ['--wal-segsize=1'],
    settings: { wal_keep_size: '200MB' },
  })
  const vault = await startVault(pg)
  await vault.backup()
  await vault.caughtUp()
  await using folder = temporaryDirectory()
  const kept = join(folder.path, 'repository')
  await cp(vault.repository.store.location, kept, { recursive: true })
  const { cluster } = vault.repository.identity
  await vault[Symbol.asyncDispose]()
  // A server with slots does not start under minimal.
  await pg.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots')
  const { before, after, last } = await crossMinimal(pg)
  const repository = await openCluster(new DiskStore(kept), cluster, systemClock)
  for (const name of readdirSync(join(pg.directory, 'pg_wal')).toSorted()) {
    if (!/^[0-9A-F]{24}$/.test(name) || name > last) continue
    await pushWalFile(repository, join(pg.directory, 'pg_wal', name))
  }
  // As the earlier version left it: it knew of no barriers, and did not say that it had looked for them.
  const { store, names } = repository
  for (const object of await store.listObjects(names.gaps))
    await store.delete(`${names.gaps}/${object}`)
  await store.delete(names.examined)
  const sources = await loadSources(repository)
  const wish = {
    backup: 'latest',
    timeline: 'latest',
    action: 'promote',
    standbyMode: false,
  } as const
  const beyond = { type: 'lsn', lsn: after, inclusive: true } as const
  for (const target of [beyond, { type: 'none' } as const]) {
    await assert.rejects(planRestore({ ...wish, target }, sources), (error) =>
      isBackstayError(error, 'TARGET_UNREACHABLE'),
    )
  }
  const near = { type: 'lsn', lsn: before, inclusive: true } as const
  assert.ok((await planRestore({ ...wish, target: near }, sources)).wal.endLsn >= before)

  for (const object of await store.listObjects(names.gaps))
    await store.delete(`${names.gaps}/${object}`)
  const place = ['--repository', store.location, '--cluster', cluster]
  const gaps = await backstay(['wal', 'gaps', ...place])
  assert.equal(gaps.code, 3, gaps.stderr)
  assert.match(gaps.stdout, /wal_level = minimal/)
  assert.ok((await store.size(names.examined)) !== undefined, 'it is not read again')
})

it('wal_level = minimal is a barrier in WAL that was received', async () => {
  await using folder = temporaryDirectory()
  await using pg = await startPostgres({
    major: 18,
    initdbArguments: ['--wal-segsize=1'],
    settings: { wal_keep_size: '200MB' },
  })
  const repository = await claimFor(pg, folder.path)
  const withoutSlot = { slot: undefined, createSlot: false }
  const first = startReceiver(pg, repository, withoutSlot)
  await untilReceived(pg)
  await first.stop()
  const { before, after, last } = await crossMinimal(pg)
  await using _receiver = startReceiver(pg, repository, withoutSlot)
  await untilReceived(pg)
  await storedSegment(repository, last)
  const [gap] = findGaps(await loadContinuity(repository))
  assert.ok(gap !== undefined && before <= gap.startLsn && gap.endLsn <= after)
})
