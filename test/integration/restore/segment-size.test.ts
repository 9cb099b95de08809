/**
 * WAL segments of 1 MB and of 64 MB: plan, names and recovery are right for both.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseLsn } from '../../../src/postgres/lsn.ts'
import { availableMajors, openPostgres, startPostgres } from '../../harness/postgres.ts'
import { balancesIn, makeAccounts, startLoad, stateAfter } from './load.ts'
import { plan, restore, untilPromoted } from './restore-files.ts'
import { startVault } from './vault.ts'

for (const major of availableMajors().filter((each) => [11, 18].includes(each))) {
  for (const megabytes of [1, 64]) {
    test(`PostgreSQL ${major} with WAL segments of ${megabytes} MB recovers to an LSN`, async () => {
      await using pg = await startPostgres({
        major,
        initdbArguments: [`--wal-segsize=${megabytes}`],
        settings: { min_wal_size: `${megabytes * 2}MB`, max_wal_size: `${megabytes * 4}MB` },
      })
      await using vault = await startVault(pg)
      await makeAccounts(pg)
      const load = await startLoad(pg)
      const backup = await vault.backup()
      const at = await load.after(40)
      await load.after(5)
      await load.stop()
      await vault.caughtUp()
      const directory = `${vault.base}/restored`
      const lsn = parseLsn(at.lsn) ?? assert.fail()
      const target = { type: 'lsn', lsn, inclusive: false } as const
      const planned = await plan(vault.repository, { target })
      assert.equal(planned.wal.startLsn % BigInt(megabytes * 1024 * 1024), 0n)
      assert.ok(planned.wal.startLsn <= backup.startLsn && planned.wal.endLsn >= lsn)
      await restore(vault.repository, {
        directory,
        target,
        restoreCommand: await vault.layOutWal(),
      })
      await using opened = await openPostgres({ major, directory })
      await untilPromoted(opened)
      assert.deepEqual(await balancesIn(opened), stateAfter(at.round))
    })
  }
}
