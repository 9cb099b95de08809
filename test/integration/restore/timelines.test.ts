/**
 * Restores through a timeline switch: to either branch, and never to one that does not descend from the backup.
 */
import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { isBackstayError } from '../../../src/errors/backstay-error.ts'
import { parseLsn } from '../../../src/postgres/lsn.ts'
import { parseTimeUs } from '../../../src/restore/target-time.ts'
import type { RestoreTarget, RestoreWish } from '../../../src/restore/wish.ts'
import { matrixMajors, openPostgres, startPostgres } from '../../harness/postgres.ts'
import { balancesIn, makeAccounts, type Moment, startLoad, stateAfter } from './load.ts'
import { plan, restore, untilPromoted } from './restore-files.ts'
import { startVault } from './vault.ts'

interface Case extends Partial<RestoreWish> {
  readonly name: string
  readonly rounds: number
  readonly reads: string
}

function time(at: Moment): RestoreTarget {
  return { type: 'time', timeUs: parseTimeUs(at.time) ?? assert.fail(), inclusive: true }
}

/** Lines of the newest history file as they stand there. */
async function newestHistory(directory: string): Promise<{ timeline: string; lsn: bigint }[]> {
  const folder = join(directory, 'pg_wal')
  const name = (await readdir(folder)).filter((each) => /^[0-9A-F]{8}\.history$/.test(each)).sort()
  const text = await readFile(join(folder, name.at(-1) ?? ''), 'utf8')
  return [...text.matchAll(/^(\d+)\s+([0-9A-F]+\/[0-9A-F]+)/gm)].map(
    ([, timeline = '', lsn = '']) => ({ timeline, lsn: parseLsn(lsn) ?? assert.fail(lsn) }),
  )
}

for (const major of matrixMajors()) {
  test(`PostgreSQL ${major} recovers along the branch that is wanted`, async (t) => {
    await using pg = await startPostgres({ major })
    await using vault = await startVault(pg)
    const { repository, base } = vault
    await makeAccounts(pg)
    const first = await vault.backup()
    const load = await startLoad(pg)
    const early = await load.after(5)
    const fork = await load.after(5)
    const late = await load.after(10)
    const last = await load.stop()
    await pg.query('SELECT pg_switch_wal()')
    await vault.caughtUp()

    await restore(repository, {
      directory: `${base}/branch`,
      target: { type: 'name', name: fork.name },
      restoreCommand: await vault.layOutWal(),
    })
    await using branch = await openPostgres({ major, directory: `${base}/branch` })
    await untilPromoted(branch)
    await vault.follow(branch)
    const branchLoad = await startLoad(branch, fork.round)
    const branched = await branchLoad.after(5)
    const second = await vault.backup()
    await branchLoad.after(5)
    const end = await branchLoad.stop()
    await vault.caughtUp()
    await vault.stop()
    const restoreCommand = await vault.layOutWal()

    const cases: Case[] = [
      {
        name: 'before the fork',
        backup: 'auto',
        target: time(early),
        rounds: early.round,
        reads: '1',
      },
      {
        name: 'the new branch',
        backup: first.id,
        target: time(branched),
        rounds: branched.round,
        reads: '1, 2',
      },
      {
        name: 'the old branch',
        backup: 'auto',
        timeline: 1,
        target: time(late),
        rounds: late.round,
        reads: '1',
      },
      { name: 'its end', backup: first.id, timeline: 'current', rounds: last.round, reads: '1' },
      { name: 'the end', backup: 'auto', rounds: end.round, reads: '2' },
      { name: 'the end from before', backup: first.id, rounds: end.round, reads: '1, 2' },
    ]
    for (const { name, rounds, reads, ...wish } of cases) {
      await t.test(name, async () => {
        const planned = await plan(repository, wish)
        assert.equal(planned.path.map((part) => part.timeline).join(', '), reads)
        const directory = `${base}/${name.replaceAll(' ', '-')}`
        await restore(repository, { ...wish, directory, restoreCommand })
        await using opened = await openPostgres({ major, directory })
        await untilPromoted(opened)
        assert.deepEqual(await balancesIn(opened), stateAfter(rounds))
        const parents = await newestHistory(directory)
        assert.equal(parents.at(-1)?.timeline, reads.split(', ').at(-1))
        assert.ok(parents.every(({ lsn }, index) => lsn >= (parents[index - 1]?.lsn ?? 0n)))
      })
    }
    await t.test('a timeline that does not descend from the backup is refused', async () => {
      await assert.rejects(plan(repository, { backup: second.id, timeline: 1 }), (error) => {
        assert.ok(isBackstayError(error, 'TARGET_UNREACHABLE'))
        assert.match(error.message, /timeline 1 does not descend from timeline 2/)
        return true
      })
    })
  })
}
