/**
 * A restore as a program of its own, so that tests can kill it. Reads one JSON object from standard input; kills itself at the
 * beginning of the phase named there.
 */
import { text } from 'node:stream/consumers'
import { openCluster } from '../../src/repository/cluster-repository.ts'
import { DiskStore } from '../../src/store/disk-store.ts'
import { systemClock } from '../../src/util/clock.ts'
import { restore, type TestRestore } from '../integration/restore/restore-files.ts'

interface Order extends Omit<TestRestore, 'tablespaces'> {
  readonly repository: string
  readonly tablespaces: readonly [string, string][]
  readonly killAt: string | undefined
}

const { repository, tablespaces, killAt, ...wish } = JSON.parse(await text(process.stdin)) as Order
const store = new DiskStore(repository)
await restore(await openCluster(store, 'shop', systemClock), {
  ...wish,
  tablespaces: new Map(tablespaces),
  onPhase: (phase) => {
    if (phase === killAt) process.kill(process.pid, 'SIGKILL')
  },
})
