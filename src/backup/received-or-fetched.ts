/**
 * WAL for a backup: from the receiver when one runs, else fetched from the server. A receiver that
 * refuses the server's WAL refuses the backup: what it found out would be found out by nobody else.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { syncedByReceiver } from '../wal/load-continuity.ts'
import { isStale, readReceiverStatus } from '../wal/receiver-status.ts'
import { spoolOf } from '../wal/spool-place.ts'
import type { ConnectionOptions } from '../wire/connection-options.ts'
import { fetchedWal } from './fetched-wal.ts'
import { type OpenWalAvailability, receivedWal } from './wal-availability.ts'

/** What a receiver says of a server's WAL, not of its own way to it. */
const ABOUT_THE_WAL = ['POSTGRES_IDENTITY', 'WAL_CONFLICT', 'WAL_INVALID']

/**
 * The receiver's WAL where one has synced any, else what is fetched over `connection`.
 * @throws {BackstayError} POSTGRES_IDENTITY, when it is opened, where a running receiver refuses
 * the server's WAL
 */
export function receivedOrFetched(connection: ConnectionOptions): OpenWalAvailability {
  return async (cluster, signal) => {
    await checkReceiver(cluster)
    const isReceived = (await syncedByReceiver(cluster)) !== undefined
    return await (isReceived ? receivedWal : fetchedWal(connection))(cluster, signal)
  }
}

/** @throws {BackstayError} what a running receiver refuses with. */
async function checkReceiver(cluster: ClusterRepository): Promise<void> {
  const status = await readReceiverStatus(spoolOf(cluster).directory)
  if (status === undefined || isStale(status, cluster.clock) || status.state !== 'refused') return
  const { code, message, hint } = status.lastError ?? { code: '', message: '', hint: '' }
  const known = ABOUT_THE_WAL.find((each) => each === code)
  if (known === undefined) return
  throw new BackstayError(
    'POSTGRES_IDENTITY',
    `Cannot back up: the WAL receiver refuses the server: ${message}`,
    { hint },
  )
}
