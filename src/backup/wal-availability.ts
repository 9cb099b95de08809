/**
 * Where a backup gets its WAL from: a receiver that runs beside it, or the server itself when there
 * is no receiver.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { waitForWal, type WaitForWalOptions } from '../wal/wait-for-wal.ts'
import type { WalRange } from '../wal/wal-position.ts'

/** Sees to it that WAL is in the repository. Dispose when the backup is over. */
export interface WalAvailability extends AsyncDisposable {
  /**
   * Resolves when all WAL of the range is durable in the repository.
   * @throws {BackstayError} WAL_UNAVAILABLE when it does not come in time or is gone from the
   * server.
   */
  ensure(range: WalRange, options: EnsureWalOptions): Promise<void>
}

/** How WAL is seen to. */
export interface EnsureWalOptions extends WaitForWalOptions {
  /**
   * Whether a segment that is held by its name counts; otherwise what the server sends must be the
   * same where it is asked.
   */
  readonly trustsHeld: boolean
}

/** Makes the availability once the repository's cluster is known, before the base backup starts. */
export type OpenWalAvailability = (
  cluster: ClusterRepository,
  signal: AbortSignal,
) => Promise<WalAvailability>

/** Waits for the WAL receiver or for archive_command, in whatever process they run. */
export const receivedWal: OpenWalAvailability = (cluster) =>
  Promise.resolve({
    ensure: (range, options) => waitForWal(cluster, range, options),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  })

/** For a backup that must not wait for WAL: what is there at the moment, and right, counts. */
export function isWalMissing(error: unknown): boolean {
  return (
    error instanceof BackstayError &&
    ['WAL_UNAVAILABLE', 'WAL_INVALID', 'TIMEOUT'].includes(error.code)
  )
}
