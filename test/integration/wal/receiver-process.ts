/**
 * A receiver as a program of its own, so that tests can kill it. Reads one JSON object from standard input; ends on SIGTERM.
 */
import { text } from 'node:stream/consumers'
import { openCluster } from '../../../src/repository/cluster-repository.ts'
import { DiskStore } from '../../../src/store/disk-store.ts'
import { systemClock } from '../../../src/util/clock.ts'
import { receiveWal } from '../../../src/wal/receiver.ts'
import type { ConnectionOptions } from '../../../src/wire/connection-options.ts'

interface Order {
  readonly directory: string
  readonly connection: ConnectionOptions
  readonly slot: string
}

const order = JSON.parse(await text(process.stdin)) as Order
const stopping = new AbortController()
process.once('SIGTERM', () => stopping.abort())
const store = new DiskStore(order.directory)
await receiveWal(
  {
    repository: await openCluster(store, 'shop', systemClock),
    servers: [order.connection],
    slot: order.slot,
    createSlot: true,
    clock: systemClock,
    onEvent: ({ error }) => {
      if (error !== undefined) process.stderr.write(`receiver: ${error.code} ${error.message}\n`)
    },
  },
  stopping.signal,
)
