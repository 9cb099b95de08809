/**
 * Waits until a range of WAL is durable in the repository: the last thing a backup does before it
 * is listed.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { addBytes, formatLsn, type Lsn } from '../postgres/lsn.ts'
import {
  formatSegmentName,
  type Segment,
  segmentOf,
  segmentStart,
} from '../postgres/segment-name.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { until } from '../util/until.ts'
import { syncedByReceiver } from './load-continuity.ts'
import type { WalRange } from './wal-position.ts'

/** How long to wait, and what counts as held. */
export interface WaitForWalOptions {
  readonly timeoutMs: number
  readonly signal?: AbortSignal
  /**
   * Whether every segment must be finished and stored as an object. Otherwise the receiver's synced
   * spool counts for the last one: a backup from a standby does not make its server finish the
   * segment.
   */
  readonly finishedOnly: boolean
}

/**
 * @throws {BackstayError} WAL_UNAVAILABLE naming the first segment that did not come in time; the
 * signal's reason.
 */
export async function waitForWal(
  repository: ClusterRepository,
  range: WalRange,
  options: WaitForWalOptions,
): Promise<void> {
  const { clock, wal, identity } = repository
  const { segmentBytes } = identity
  const { timeline, endLsn } = range
  let next = segmentOf(range.startLsn, { timeline, segmentBytes })
  const isHeld = async (): Promise<boolean> => {
    while (segmentStart(next, segmentBytes) < endLsn) {
      const isStored = await wal.hasSegment(formatSegmentName(next, segmentBytes))
      if (!isStored && !(await isSpooled(next))) return false
      next = { ...next, number: next.number + 1n }
    }
    return true
  }
  const isSpooled = async (segment: Segment): Promise<boolean> => {
    const isLast = addBytes(segmentStart(segment, segmentBytes), segmentBytes) >= endLsn
    return !options.finishedOnly && isLast && (await isSynced(repository, timeline, endLsn))
  }
  const { timeoutMs, signal } = options
  if ((await until(isHeld, { clock, timeoutMs, ...(signal && { signal }) })) !== undefined) return
  throw missing(range, formatSegmentName(next, segmentBytes), timeoutMs)
}

async function isSynced(
  repository: ClusterRepository,
  timeline: number,
  endLsn: Lsn,
): Promise<boolean> {
  const synced = await syncedByReceiver(repository)
  return synced !== undefined && synced.timeline === timeline && synced.lsn >= endLsn
}

function missing(range: WalRange, segment: string, timeoutMs: number): BackstayError {
  const { timeline, startLsn, endLsn } = range
  return new BackstayError(
    'WAL_UNAVAILABLE',
    `Cannot find the WAL from ${formatLsn(startLsn)} to ${formatLsn(endLsn)} on timeline ${timeline} in the repository: segment "${segment}" did not come within ${Math.round(timeoutMs / 1000)} s`,
    { hint: 'Does the WAL receiver run, or archive_command work? See `backstay status`.' },
  )
}
