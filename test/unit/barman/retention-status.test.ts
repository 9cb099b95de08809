/**
 * What list-backups says of each backup under a policy.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { retentionStatuses } from '../../../src/barman/server/retention-status.ts'
import type { BarmanServer } from '../../../src/config/barman/model.ts'
import { makeServer } from '../../../src/config/barman/server.ts'
import { parseRetention } from '../../../src/config/barman/values.ts'
import { listBackups, publishBackup } from '../../../src/repository/catalogue.ts'
import { claimCluster } from '../../../src/repository/cluster-repository.ts'
import { MemoryStore } from '../../harness/memory-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { backup, NOW_MS, SEGMENT_BYTES } from '../backup/fixtures.ts'

const HOUR_MS = 3_600_000

/** The statuses of backups of 0, 1, 2, … days and an hour ago, newest first. */
async function statuses(count: number, retention: string, minimum: number): Promise<string[]> {
  const identity = { systemIdentifier: '7', major: 18, segmentBytes: SEGMENT_BYTES }
  const clock = { ...systemClock, now: () => NOW_MS + HOUR_MS }
  const store = new MemoryStore()
  const cluster = await claimCluster({ store, name: 'shop', server: identity, clock })
  for (let daysAgo = 0; daysAgo < count; daysAgo += 1) {
    const { info } = backup(daysAgo)
    await store.put(cluster.names.manifest(info.id), Buffer.alloc(info.manifest.storedBytes))
    await publishBackup(cluster, info)
    const number = (100 - daysAgo).toString(16).toUpperCase().padStart(8, '0')
    await store.put(cluster.names.walSegment(`0000000100000000${number}`), Buffer.from('wal'))
  }
  const server: BarmanServer = {
    ...makeServer('shop', new Map()),
    retention: parseRetention(retention),
    minimumRedundancy: minimum,
  }
  const backups = await listBackups(cluster)
  const found = await retentionStatuses(cluster, server, backups)
  return backups.map(({ info }) => found.get(info.id) ?? 'nothing')
}

test('the backup that the window needs is valid, whether the minimum wants it too or not', async () => {
  const window = 'RECOVERY WINDOW OF 2 DAYS'
  const needed = ['VALID', 'VALID', 'VALID']
  assert.deepEqual(await statuses(5, window, 0), [...needed, 'OBSOLETE', 'OBSOLETE'])
  assert.deepEqual(await statuses(5, window, 3), [...needed, 'OBSOLETE', 'OBSOLETE'])
  assert.deepEqual(await statuses(5, window, 4), [...needed, 'OBSOLETE*', 'OBSOLETE'])
})

test('with a redundancy no backup is there for the minimum only', async () => {
  assert.deepEqual(await statuses(3, 'REDUNDANCY 1', 2), ['VALID', 'VALID', 'OBSOLETE'])
})
