/**
 * Restored data is row for row what the primary had at the target, for every kind of target, under a load that never stops.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseLsn } from '../../../src/postgres/lsn.ts'
import { parseTimeUs } from '../../../src/restore/target-time.ts'
import type { RestoreTarget } from '../../../src/restore/wish.ts'
import { matrixMajors, openPostgres, startPostgres } from '../../harness/postgres.ts'
import { balancesIn, makeAccounts, type Moment, startLoad, stateAfter } from './load.ts'
import { restore, untilPromoted } from './restore-files.ts'
import { startVault } from './vault.ts'

interface Case {
  readonly name: string
  readonly target: RestoreTarget
  /** Rounds whose effects are there afterwards; undefined: any whole number of them. */
  readonly rounds: number | undefined
}

function casesOf(at: Moment, last: Moment): readonly Case[] {
  const timeUs = parseTimeUs(at.time) ?? assert.fail(at.time)
  const lsn = parseLsn(at.lsn) ?? assert.fail(at.lsn)
  const { xid, round } = at
  return [
    { name: 'time', target: { type: 'time', timeUs, inclusive: true }, rounds: round },
    { name: 'lsn', target: { type: 'lsn', lsn, inclusive: false }, rounds: round },
    { name: 'xid', target: { type: 'xid', xid, inclusive: true }, rounds: round },
    { name: 'xid-exclusive', target: { type: 'xid', xid, inclusive: false }, rounds: round - 1 },
    { name: 'name', target: { type: 'name', name: at.name }, rounds: round },
    { name: 'end', target: { type: 'none' }, rounds: last.round },
    { name: 'immediate', target: { type: 'immediate' }, rounds: undefined },
  ]
}

for (const major of matrixMajors()) {
  test(`PostgreSQL ${major} recovers to every kind of target`, async (t) => {
    await using pg = await startPostgres({ major })
    await using vault = await startVault(pg)
    await makeAccounts(pg)
    const load = await startLoad(pg)
    await load.after(5)
    const backup = await vault.backup()
    const at = await load.after(10)
    await load.after(10)
    const last = await load.stop()
    await vault.caughtUp()
    const restoreCommand = await vault.layOutWal()
    for (const { name, target, rounds } of casesOf(at, last)) {
      await t.test(name, async () => {
        const directory = `${vault.base}/${name}`
        await restore(vault.repository, { directory, backup: backup.id, target, restoreCommand })
        await using opened = await openPostgres({ major, directory })
        await untilPromoted(opened)
        const found = await balancesIn(opened)
        const states = rounds === undefined ? load.moments.map(({ round }) => round) : [rounds]
        const isKnown = states.some((round) => sameNumbers(found, stateAfter(round)))
        assert.ok(isKnown, `the state after ${rounds ?? 'some'} of ${last.round} rounds`)
      })
    }
  })
}

function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index])
}
