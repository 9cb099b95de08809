/**
 * The line production is on decides, not the highest number: after a recovery to a moment, and after a standby was promoted by accident.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { expireCluster } from '../../../src/backup/expire.ts'
import { planJson, planText } from '../../../src/cli/text/restore-text.ts'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import type { ClusterRepository } from '../../../src/repository/cluster-repository.ts'
import { listBackups } from '../../../src/repository/catalogue.ts'
import { abandonTimeline, readLines, reviveTimeline } from '../../../src/repository/line-records.ts'
import { loadSources } from '../../../src/restore/load-sources.ts'
import { planRestore, type RestorePlan } from '../../../src/restore/plan.ts'
import { parseTimeUs } from '../../../src/restore/target-time.ts'
import type { RestoreTarget, RestoreWish } from '../../../src/restore/wish.ts'
import {
  matrixMajors,
  openPostgres,
  startPostgres,
  type TestServer,
} from '../../harness/postgres.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'
import { cloneStandby, promote, startReceiver, untilReceived } from '../wal/support.ts'
import { balancesIn, makeAccounts, type Moment, startLoad, stateAfter } from './load.ts'
import { restore, untilPromoted } from './restore-files.ts'
import { startVault } from './vault.ts'

const COUNT_1 = { windowMs: undefined, count: 1, minimum: 1 }

async function planFor(
  repository: ClusterRepository,
  wish: Partial<RestoreWish>,
): Promise<RestorePlan> {
  const rest = { timeline: 'latest', action: 'promote', standbyMode: false } as const
  const whole = { backup: 'auto', target: { type: 'none' }, ...rest, ...wish } as const
  return await planRestore(whole, await loadSources(repository))
}

const pathOf = (plan: RestorePlan): string => plan.path.map((part) => part.timeline).join(', ')

function time(at: Moment): RestoreTarget {
  return { type: 'time', timeUs: parseTimeUs(at.time) ?? assert.fail(), inclusive: true }
}

const unreachable = (pattern: RegExp) => (error: unknown) => {
  assert.ok(isBackstayError(error, 'TARGET_UNREACHABLE'), String(error))
  assert.match(`${error.message} ${error.hint ?? ''}`, pattern)
  return true
}

for (const major of matrixMajors()) {
  test(`PostgreSQL ${major} is restored on the line that was alive after a recovery to a moment`, async () => {
    await using pg = await startPostgres({ major })
    await using vault = await startVault(pg)
    const { repository, base } = vault
    await makeAccounts(pg)
    const first = await vault.backup()
    const load = await startLoad(pg)
    const fork = await load.after(5)
    const late = await load.after(10)
    const last = await load.stop()
    const dead = await vault.backup()
    await pg.query('SELECT pg_switch_wal()')
    await vault.caughtUp()
    await restore(repository, {
      directory: `${base}/branch`,
      backup: first.id,
      target: { type: 'name', name: fork.name },
      restoreCommand: await vault.layOutWal(),
    })
    await using branch = await openPostgres({ major, directory: `${base}/branch` })
    await untilPromoted(branch)
    await vault.follow(branch)
    const again = await startLoad(branch, fork.round)
    const branched = await again.after(5)
    const end = await again.stop()
    await vault.caughtUp()
    await vault.stop()

    const latest = await planFor(repository, { backup: 'latest' })
    assert.equal(latest.backup.id, first.id, 'the newest backup is of the dead branch')
    assert.equal(pathOf(latest), '1, 2')
    assert.match(
      planText(latest, undefined),
      /Timeline +1 to .*, then 2: recovery leaves the backup's timeline, 1/,
    )
    assert.partialDeepStrictEqual(planJson(latest, undefined), { changesTimeline: true })
    const then = await planFor(repository, { target: time(late) })
    assert.equal(pathOf(then), '1', 'the rows of that time are on the old timeline')
    assert.match(planText(then, undefined), /Timeline +1\n/)
    assert.partialDeepStrictEqual(planJson(then, undefined), { changesTimeline: false })
    assert.match(
      then.warnings.join(),
      /Timeline 1 was alive at that time; production is on timeline 2/,
    )
    const now = await planFor(repository, { target: time(branched) })
    assert.equal(pathOf(now), '1, 2')
    await assert.rejects(
      planFor(repository, { target: time(late), timeline: 2 }),
      unreachable(/timeline 2 goes on at .* only; the transactions of that time are on timeline 1/),
    )
    for (const [plan, rounds] of [
      [then, late.round],
      [latest, end.round],
    ] as const) {
      const directory = `${base}/copy-${rounds}-${plan.timeline}`
      const { backup, timeline, target } = plan
      const restoreCommand = await vault.layOutWal()
      await restore(repository, { directory, backup: backup.id, timeline, target, restoreCommand })
      await using opened = await openPostgres({ major, directory })
      await untilPromoted(opened)
      assert.deepEqual(await balancesIn(opened), stateAfter(rounds))
    }

    await expireCluster(repository, COUNT_1)
    const ids = (await listBackups(repository)).map(({ info }) => info.id)
    assert.deepEqual(ids, [dead.id, first.id], 'the only base of the living line stays')
    assert.ok(last.round > late.round)
  })

  test(`PostgreSQL ${major} that goes on after a stray promotion is received and restored`, async () => {
    await using copy = temporaryDirectory()
    await using pg = await startPostgres({ major })
    await using vault = await startVault(pg)
    const { repository, base } = vault
    await using standby = await cloneStandby(pg, join(copy.path, 'data'))
    await makeAccounts(pg)
    const backup = await vault.backup()
    const load = await startLoad(pg)
    await load.after(5)
    await promote(standby)
    await standby.query(
      'CREATE TABLE stray AS SELECT generate_series(1, 100); SELECT pg_switch_wal()',
    )
    await archive(standby, repository)
    await load.after(5)
    const end = await load.stop()
    await vault.caughtUp()
    await vault.stop()

    // The receiver was stopped before it could see the branch beside its line: both go on from the fork.
    if ((await readLines(repository)).records.at(-1)?.known.includes(2) === false) {
      await assert.rejects(
        planFor(repository, {}),
        unreachable(/which timeline is meant, 1 .* or 2 /),
      )
      await abandonTimeline(repository, 2)
      assert.equal(pathOf(await planFor(repository, {})), '1')
      await reviveTimeline(repository, 2)
    }
    {
      await using receiver = startReceiver(pg, repository)
      await pg.query('SELECT pg_switch_wal()')
      await untilReceived(pg)
      assert.ok(!receiver.events.some((event) => event.kind === 'failed'), 'the primary is true')
    }
    const latest = await planFor(repository, { backup: 'latest' })
    assert.equal(pathOf(latest), '1')
    const directory = `${base}/copy`
    await restore(repository, {
      directory,
      backup: backup.id,
      timeline: latest.timeline,
      restoreCommand: await vault.layOutWal(),
    })
    await using opened = await openPostgres({ major, directory })
    await untilPromoted(opened)
    assert.deepEqual(await balancesIn(opened), stateAfter(end.round))
    const rows = await opened.query("SELECT to_regclass('stray')::text AS stray")
    assert.deepEqual(rows, [{ stray: null }])
  })
}

/** What an archive_command brings of a branch: its history and its finished segments. */
async function archive(server: TestServer, repository: ClusterRepository): Promise<void> {
  const folder = join(server.directory, 'pg_wal')
  const current = await server.query('SELECT pg_walfile_name(pg_current_wal_lsn()) AS name')
  const open = String(current[0]?.['name'])
  for (const name of readdirSync(folder)) {
    if (name === '00000002.history')
      await repository.wal.putHistory(2, readFileSync(join(folder, name)))
    if (/^00000002[0-9A-F]{16}$/.test(name) && name < open) {
      await repository.wal.putSegment(name, readFileSync(join(folder, name)))
    }
  }
}
