/**
 * What status, check and verify say is so: a verdict is made of everything that was promised, and nothing is called wrong that is not.
 */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { readBackupStatus } from '../../../src/report/read-backup-status.ts'
import { checkCluster } from '../../../src/report/check.ts'
import { clusterStatus, type ClusterStatus } from '../../../src/report/status.ts'
import { bringUp } from '../../../src/build/up.ts'
import { verifyCluster } from '../../../src/build/verify.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { parseLsn } from '../../../src/postgres/lsn.ts'
import { Vault, withCode } from '../roles/support.ts'
import { type House, makeHouse } from './house.ts'

async function statusOf(house: House): Promise<ClusterStatus> {
  const { wanted } = house
  const backup = wanted.backup as NonNullable<typeof wanted.backup>
  return await clusterStatus(house.context(), async () =>
    readBackupStatus(wanted, backup, systemClock),
  )
}

test('the backup part belongs to the verdict: no repository, no receiver, a receiver that stopped', async () => {
  await using house = await makeHouse({ major: 15 })
  await bringUp(house.context())
  const before = await statusOf(house)
  assert.equal(before.verdict, 'degraded')
  assert.match(before.backup?.problems.join() ?? '', /repository is not there yet/)
  {
    await using vault = await Vault.open(house)
    const [row] = await house.query('db1', 'SELECT pg_current_wal_flush_lsn()::text AS lsn')
    await vault.has(1, parseLsn(String(row?.['lsn'])) ?? 0n)
    const streaming = await statusOf(house)
    assert.deepEqual(streaming.backup?.problems, [])
    assert.equal(streaming.verdict, 'ok')
  }
  const after = await statusOf(house)
  assert.equal(after.verdict, 'degraded')
  assert.match(after.backup?.problems.join() ?? '', /the WAL receiver does not run.*WAL piles up/)
})

test('a row that crosses proves nothing when the servers are of another cluster', async () => {
  await using house = await makeHouse({ major: 15, backup: false })
  await bringUp(house.context())
  assert.ok((await verifyCluster(house.context())).isProved)
  const path = join(house.wanted.stateDirectory, 'identity.json')
  const identity = await readFile(path, 'utf8')
  await writeFile(
    path,
    identity.replace(/"systemIdentifier":\s*"\d+"/, '"systemIdentifier": "7000000000000000001"'),
  )
  await assert.rejects(verifyCluster(house.context()), withCode('POSTGRES_IDENTITY'))
  assert.notEqual((await clusterStatus(house.context())).verdict, 'ok')
})

test('a setting that only waits for a restart is no error of the file', async () => {
  await using house = await makeHouse({ major: 15, standbys: 0, backup: false })
  await bringUp(house.context())
  await house.query('db1', 'ALTER SYSTEM SET max_worker_processes = 12')
  const findings = await checkCluster(house.context())
  const of = (name: string) => findings.find(({ check }) => check === name)
  assert.equal(of('settings.errors')?.status, 'ok', of('settings.errors')?.found)
  assert.match(of('settings.pending-restart')?.found ?? '', /max_worker_processes/)
  assert.equal(of('settings.pending-restart')?.status, 'warn')
})
