/** What is damaged counts as not held and is named; everything else is known as before. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { claimCluster, type ClusterRepository } from '../../../src/repository/cluster-repository.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { findGaps } from '../../../src/wal/continuity.ts'
import { loadContinuity } from '../../../src/wal/load-continuity.ts'
import { temporaryDirectory } from '../../harness/temporary-directory.ts'

const SEGMENT_BYTES = 1024 * 1024

async function open(directory: string): Promise<ClusterRepository> {
  return await claimCluster({
    store: new DiskStore(directory),
    name: 'shop',
    server: { systemIdentifier: '7', major: 18, segmentBytes: SEGMENT_BYTES },
    clock: systemClock,
  })
}

it('a damaged partial and a damaged history are named and stop nothing else', async () => {
  await using folder = temporaryDirectory()
  const { store, names, wal, ...rest } = await open(folder.path)
  for (const number of [1, 2]) {
    await wal.putSegment(`00000001000000000000000${number}`, Buffer.alloc(SEGMENT_BYTES, 1))
  }
  await wal.putHistory(2, Buffer.from('1\t0/280000\tx\n'))
  await store.put(names.walHistory(7), Buffer.from('damaged'))
  const partial = { segment: '000000070000000000000009', bytes: 8192 }
  await store.put(names.walPartial(partial), Buffer.from('damaged'))
  const map = await loadContinuity({ store, names, wal, ...rest })
  assert.deepEqual([...map.histories.keys()], [2])
  assert.deepEqual(map.ranges.get(1)?.length, 1)
  assert.deepEqual(findGaps(map), [])
  assert.deepEqual(map.damaged, [
    'shop/wal/00000007/00000000/000000070000000000000009.partial',
    'shop/wal/00000007.history.zst',
  ])
})
