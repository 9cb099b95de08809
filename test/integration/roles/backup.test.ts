/**
 * Backups over a change of roles: two servers of one cluster have pages of the same LSN that differ in hint bits.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { verifyBackup } from '../../../src/backup/verify/verify-backup.ts'
import { switchOver } from '../../../src/failover/switchover.ts'
import { bringUp } from '../../../src/build/up.ts'
import type { BackupInfo } from '../../../src/repository/backup-info.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { makeHouse } from '../cluster/house.ts'
import { backUp } from './back-up.ts'
import { Vault } from './support.ts'

async function problemsOf(vault: Vault, { id }: BackupInfo): Promise<readonly unknown[]> {
  const { problems } = await verifyBackup(vault.repository, id, {
    samplePercent: 100,
    seed: 0,
    sinceMs: undefined,
    signal: AbortSignal.timeout(120_000),
    onProgress: () => undefined,
  })
  return problems
}

for (const major of availableMajors().filter((each) => each === 18)) {
  describe(`PostgreSQL ${major}: a backup`, () => {
    test('of the new primary builds on one of the old and is whole', async () => {
      await using house = await makeHouse({ major })
      await bringUp(house.context())
      await using vault = await Vault.open(house)
      await vault.has(1, 1n)
      const fill = 'CREATE TABLE t AS SELECT g AS i FROM generate_series(1, 50000) AS g; CHECKPOINT'
      await house.query('db1', fill)
      // Reading sets hint bits: here on the first server, later on the second, without a trace in the WAL.
      const read =
        'SELECT count(*) FROM t; SELECT count(*) FROM pg_proc; SELECT count(*) FROM pg_attribute'
      await house.query('db1', read)
      const first = await backUp(house, vault, 'db1')
      await house.query('db1', read)
      await switchOver(house.context())
      await house.query('db2', read)
      const second = await backUp(house, vault, 'db2')
      assert.equal(second.reference, first.id)
      assert.deepEqual(await problemsOf(vault, second), [])
      const third = await backUp(house, vault, 'db2')
      assert.equal(third.reference, second.id)
      assert.deepEqual(await problemsOf(vault, third), [])
      assert.ok(second.bytes.changed < first.bytes.changed / 2, JSON.stringify(second.bytes))
    })
  })
}
