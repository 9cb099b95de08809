/**
 * A server that was restored into its place and promoted, by hand too, is a server of the cluster like any other: nothing of the restore
 * keeps a standby from following it, nor it from following a standby.
 */
import assert from 'node:assert/strict'
import { readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { checkCluster } from '../../../src/report/check.ts'
import { switchOver } from '../../../src/failover/switchover.ts'
import { bringUp } from '../../../src/build/up.ts'
import { stopServer } from '../../../src/host/postgres-control.ts'
import { settingsOf } from '../../../src/postgres/conf-file.ts'
import { copyWal } from '../../../src/restore/copy-wal.ts'
import { isOfRecovery, RESTORE_MARK } from '../../../src/restore/left-settings.ts'
import { matrixMajors } from '../../harness/binaries.ts'
import { testInstance } from '../../harness/postgres-instance.ts'
import { until } from '../../harness/until.ts'
import { backUp } from './back-up.ts'
import { type House, makeHouse } from '../cluster/house.ts'
import { owner, plan, restore } from '../restore/restore-files.ts'
import { isInOrder, Vault, withCode } from './support.ts'

async function autoConf(house: House, name: string): Promise<ReadonlyMap<string, string>> {
  return settingsOf(await readFile(join(house.path, name, 'postgresql.auto.conf'), 'utf8'))
}

async function countOn(house: House, name: string): Promise<unknown> {
  const [row] = await house.query(name, 'SELECT count(*)::int AS n FROM t')
  return row?.['n']
}

/** Both servers gone, db1 restored to the point and started. */
async function restorePrimary(house: House, major: number): Promise<void> {
  await using vault = await Vault.open(house)
  await vault.has(1, 1n)
  await house.query('db1', 'CREATE TABLE t AS SELECT 1 AS i')
  await backUp(house, vault, 'db1')
  await house.query('db1', 'INSERT INTO t VALUES (2)')
  await house.query('db1', `SELECT pg_create_restore_point('there')`)
  await house.query('db1', 'INSERT INTO t VALUES (3)')
  const [row] = await house.query('db1', 'SELECT pg_current_wal_flush_lsn() AS lsn')
  await vault.has(1, row?.['lsn'] as bigint)
  for (const name of ['db1', 'db2']) {
    await stopServer(await testInstance(major as 18, join(house.path, name)), { timeoutMs: 60_000 })
    await rename(join(house.path, name), join(house.path, `${name}.lost`))
  }
  const directory = join(house.path, 'db1')
  const wish = { target: { type: 'name', name: 'there' }, action: 'pause', directory } as const
  await restore(vault.repository, wish)
  await copyWal(vault.repository, await plan(vault.repository, wish), {
    directory: join(directory, 'pg_wal'),
    owner,
    mode: 0o600,
  })
}

for (const major of matrixMajors().filter((each) => each !== 17)) {
  test(`PostgreSQL ${major}: restored, promoted by hand, cloned, switched over and back`, async (t) => {
    await using house = await makeHouse({ major })
    await bringUp(house.context())
    await restorePrimary(house, major)

    await t.test('up does not take it for a standby while it is paused', async () => {
      await assert.rejects(
        bringUp(house.context()),
        withCode('PRIMARY_MISSING', /was restored and is paused at LSN/),
      )
      assert.equal(await countOn(house, 'db1'), 2)
    })
    await t.test('whoever promotes it ends the settings of its recovery', async () => {
      await house.query('db1', 'SELECT pg_wal_replay_resume()')
      await until('db1 to be promoted', async () => {
        const [row] = await house.query('db1', 'SELECT pg_is_in_recovery() AS standby')
        return row?.['standby'] === false
      })
      const settings = await autoConf(house, 'db1')
      assert.deepEqual([...settings.keys()].filter(isOfRecovery), [])
      assert.equal(settings.get('archive_mode'), 'off')
      assert.equal(settings.get('max_logical_replication_workers'), '0')
    })
    await t.test('check knows what is left', async () => {
      const findings = await checkCluster(house.context())
      const told = findings.filter(({ status }) => status !== 'ok').map(({ found }) => found)
      assert.ok(
        told.some((text) => text.includes('take the settings of the restore away')),
        told.join('\n'),
      )
    })
    await t.test('up takes the rest away and makes its standby', async () => {
      await bringUp(house.context())
      await isInOrder(house, 'db1')
      for (const name of ['db1', 'db2']) {
        const left = [...(await autoConf(house, name)).keys()]
        assert.deepEqual(
          left.filter((each) => isOfRecovery(each) || each === RESTORE_MARK),
          [],
        )
      }
      assert.equal(await countOn(house, 'db2'), 2)
      const waiting = await house.query('db1', 'SELECT name FROM pg_settings WHERE pending_restart')
      assert.deepEqual(waiting, [], 'what the copy was not to do is done again')
    })
    for (const to of ['db2', 'db1']) {
      await t.test(`a switchover to ${to} leaves the other following`, async () => {
        assert.equal((await switchOver(house.context(), { to })).outcome, 'done')
        await isInOrder(house, to)
      })
    }
  })
}
