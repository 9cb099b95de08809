/**
 * A damaged history file stops recovery: verification and the plan of a restore say so, and the next backup puts the server's in its place.
 */
import assert from 'node:assert/strict'
import { appendFile, open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadDamage } from '../../src/backup/known-damage.ts'
import { verifyBackup } from '../../src/backup/verify/verify-backup.ts'
import type { VerifyProblem } from '../../src/backup/verify/report.ts'
import type { BackupInfo } from '../../src/repository/backup-info.ts'
import { type ClusterRepository, openCluster } from '../../src/repository/cluster-repository.ts'
import { loadSources } from '../../src/restore/load-sources.ts'
import { planRestore, type RestorePlan } from '../../src/restore/plan.ts'
import { DiskStore } from '../../src/store/disk-store.ts'
import { systemClock } from '../../src/util/clock.ts'
import { startPostgres, temporaryDirectory, type TestServer } from '../harness/postgres.ts'
import { until } from '../harness/until.ts'
import { backUp, giveToServer, verifyAll } from '../integration/backup/support.ts'

const HISTORY = 'test/wal/00000002.history.zst'

/** Lets the server begin timeline 2. */
async function beginTimeline(pg: TestServer): Promise<void> {
  await pg.stop()
  await appendFile(join(pg.directory, 'postgresql.conf'), "\nrestore_command = 'false'\n")
  await appendFile(join(pg.directory, 'recovery.signal'), '')
  await giveToServer(pg.directory)
  await pg.start()
  await until('the promotion', async () => {
    const [row] = await pg.query('select pg_is_in_recovery() as waits')
    return row?.['waits'] === false
  })
  await pg.query('create table t as select g as id from generate_series(1, 1000) g')
}

async function problemsOf(
  cluster: ClusterRepository,
  { id }: BackupInfo,
): Promise<readonly VerifyProblem[]> {
  const { problems } = await verifyBackup(cluster, id, {
    samplePercent: 100,
    seed: 0,
    sinceMs: undefined,
    signal: AbortSignal.timeout(120_000),
    onProgress: () => {},
  })
  return problems
}

async function plan(cluster: ClusterRepository): Promise<RestorePlan> {
  const wish = {
    backup: 'latest',
    timeline: 'latest',
    target: { type: 'none' },
    action: 'promote',
    standbyMode: false,
  } as const
  return await planRestore(wish, await loadSources(cluster))
}

test('a damaged history on the way of a backup is told, and replaced by the next backup', async () => {
  await using directory = temporaryDirectory()
  await using pg = await startPostgres({ major: 18 })
  await beginTimeline(pg)
  const repository = join(directory.path, 'repository')
  const first = await backUp(pg, repository)
  assert.equal(first.timeline, 2)
  const cluster = await openCluster(new DiskStore(repository), 'test', systemClock)
  assert.deepEqual(await problemsOf(cluster, first), [])
  assert.deepEqual((await plan(cluster)).warnings, [])

  const damaged = Buffer.from('XXXX')
  {
    await using file = await open(join(repository, HISTORY), 'r+')
    const { size } = await file.stat()
    await file.write(damaged, 0, damaged.length, Math.floor(size / 2))
  }
  const broken = await readFile(join(repository, HISTORY))
  const problems = await problemsOf(cluster, first)
  assert.deepEqual(
    problems.map(({ subject }) => subject),
    [HISTORY],
  )
  assert.equal((await loadDamage(cluster, [first])).get(first.id)?.isProved, true)
  const { warnings } = await plan(cluster)
  assert.ok(warnings.some((text) => /stop when it asks for 00000002\.history/.test(text)))

  const next = await backUp(pg, repository)
  assert.equal(next.reference, first.id, 'pages are not concerned')
  await verifyAll(repository)
  assert.deepEqual([...(await loadDamage(cluster, [next, first]))], [])
  assert.deepEqual((await plan(cluster)).warnings, [])
  const histories = await readdir(join(repository, 'test/wal'))
  const aside = histories.find((name) =>
    /^00000002\.history\.[0-9A-F]{16}\.damaged\.zst$/.test(name),
  )
  assert.ok(aside !== undefined, histories.join(', '))
  assert.ok((await readFile(join(repository, 'test/wal', aside))).equals(broken))
})
