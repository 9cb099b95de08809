/**
 * `replication.archive: backup` where repository and servers share a machine: archive_command stores without ssh.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bringUp } from '../../../src/build/up.ts'
import { claimCluster } from '../../../src/repository/cluster-repository.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { availableMajors } from '../../harness/binaries.ts'
import { until } from '../../harness/until.ts'
import { giveToServer } from '../wal/support.ts'
import { archivingHouse } from './archiving-house.ts'

test(
  'archive_command stores finished segments in the repository of the same machine',
  { skip: !availableMajors().includes(18) && 'not installed' },
  async () => {
    await using house = await archivingHouse(0)
    await bringUp(house.context())
    const identity = await house.context().state.readIdentity()
    const directory = house.wanted.backup?.repository ?? ''
    const repository = await claimCluster({
      store: new DiskStore(directory),
      name: house.wanted.name,
      server: {
        systemIdentifier: identity?.systemIdentifier ?? '',
        major: 18,
        segmentBytes: house.wanted.postgres.segmentBytes,
      },
      clock: systemClock,
    })
    giveToServer(directory)
    const [row] = await house.query('db1', 'SELECT pg_walfile_name(pg_switch_wal()) AS name')
    const name = String(row?.['name'])
    await until(`${name} in the repository`, async () => repository.wal.getSegment(name), 90_000)
    await until('the server to know', async () => {
      const [seen] = await house.query('db1', 'SELECT last_archived_wal AS n FROM pg_stat_archiver')
      return String(seen?.['n']) >= name
    })
    const { done } = await bringUp(house.context())
    assert.deepEqual(done, [])
  },
)
