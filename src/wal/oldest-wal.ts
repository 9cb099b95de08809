/**
 * Finds the oldest segment a server still has, so that a gap becomes no wider than it must:
 * segments are there without a hole up to the newest, so bisection by trying finds it in a few
 * steps.
 */
import { isBackstayError } from '../errors/backstay-error.ts'
import { type Lsn, toLsn } from '../postgres/lsn.ts'
import type { ReplicationConnection } from '../wire/replication-connection.ts'
import type { ReceiverOptions } from './receiver-options.ts'
import { segmentFloor } from './wal-position.ts'

/** Enough to bisect 2^40 segments. */
const PROBES_MAX = 40

/** The stretch in which the oldest segment lies. */
export interface OldestWalSearch {
  readonly timeline: number
  /** Known to be removed. */
  readonly removedLsn: Lsn
  /** A segment's start, taken to be there. */
  readonly presentLsn: Lsn
}

/** The start of the oldest segment between the two that the server can still send. */
export async function findOldestWal(
  connection: ReplicationConnection,
  search: OldestWalSearch,
  options: ReceiverOptions,
): Promise<Lsn> {
  const size = BigInt(options.repository.identity.segmentBytes)
  let removed = segmentFloor(search.removedLsn, Number(size)) / size
  let present = search.presentLsn / size
  for (let probe = 0; present - removed > 1n && probe < PROBES_MAX; probe += 1) {
    const middle = (removed + present) / 2n
    const position = { timeline: search.timeline, startLsn: toLsn(middle * size) }
    if (await canStream(connection, position, options)) present = middle
    else removed = middle
  }
  return toLsn(present * size)
}

/**
 * Streaming begins before the server looks for the file: only the first message proves that it is
 * there.
 */
async function canStream(
  connection: ReplicationConnection,
  position: { timeline: number; startLsn: Lsn },
  options: ReceiverOptions,
): Promise<boolean> {
  const seen = Promise.withResolvers<void>()
  try {
    const stream = await connection.startReplication(
      { ...position, slot: options.slot, clock: options.clock },
      { data: () => seen.resolve(), keepalive: () => seen.resolve() },
    )
    await Promise.race([seen.promise, stream.ended])
    await stream.stop()
    return true
  } catch (error) {
    if (isBackstayError(error, 'WAL_UNAVAILABLE')) return false
    throw error
  }
}
