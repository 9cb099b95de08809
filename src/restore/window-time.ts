/**
 * When the last record of a recoverable window was written, as far as WAL tells.
 */
import { isBackstayError } from '../errors/backstay-error.ts'
import { addBytes, type Lsn } from '../postgres/lsn.ts'
import type { BackupSpan } from '../wal/continuity.ts'
import type { WalPosition } from '../wal/wal-position.ts'
import { historyOrOwn, pathFrom } from './timeline-path.ts'
import type { RestoreSources } from './restore-sources.ts'
import { findLastTransaction } from './record-search.ts'

/** A server at rest writes segments without a transaction: so many are read to find one. */
const SEGMENTS_MAX = 4

/**
 * Up to when everything is held that was committed: until a receiver that holds all heard from its
 * server last, else the time of the last transaction before the window's end; microseconds since
 * 1970. Undefined when the last segments hold none or cannot be read; a damaged segment is for
 * `verify-backup` to report.
 */
export async function timeOfEnd(
  backup: BackupSpan,
  to: WalPosition,
  sources: RestoreSources,
): Promise<bigint | undefined> {
  const { map, wal, currentAtUs, currentTimeline } = sources
  if (currentAtUs !== undefined && currentTimeline === to.timeline) return currentAtUs
  const path = pathFrom(backup, historyOrOwn(map, to.timeline))
  if (path === undefined) return undefined
  const back = addBytes(to.lsn, -Math.min(SEGMENTS_MAX * map.segmentBytes, Number(to.lsn)))
  const from: Lsn = back > backup.stopLsn ? back : backup.stopLsn
  try {
    return (await findLastTransaction(wal, { path, from, to: to.lsn }))?.latestTimeUs
  } catch (error) {
    const isDamage =
      isBackstayError(error, 'REPOSITORY_DAMAGED') || isBackstayError(error, 'WAL_INVALID')
    if (isDamage) return undefined
    throw error
  }
}
