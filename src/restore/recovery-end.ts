/**
 * Where a plan's recovery ends: between which two positions the end of the last replayed record has
 * to lie. What was reached is compared with it (start.ts).
 */
import { addBytes, formatLsn, type Lsn } from '../postgres/lsn.ts'
import { LONG_HEADER_BYTES } from '../postgres/wal-page.ts'
import type { BackupInfo } from '../repository/backup-info.ts'
import type { TimelinePath } from './timeline-path.ts'
import { findFirst, findLastRecord, type WalReading } from './record-search.ts'
import type { RestoreTarget } from './wish.ts'

/**
 * Both are ends of replayed WAL. `atMost` is undefined where WAL that arrives meanwhile is replayed
 * too.
 */
export interface RecoveryEnd {
  readonly atLeast: Lsn
  readonly atMost: Lsn | undefined
}

/**
 * What is known of a recovery. `endLsn`: the end of the record recovery stops at, or of the WAL
 * held.
 */
export interface PlannedRecovery {
  readonly backup: Pick<BackupInfo, 'startLsn' | 'stopLsn'>
  readonly path: TimelinePath
  /** As PostgreSQL is told it. */
  readonly target: RestoreTarget
  readonly endLsn: Lsn
}

/** @throws {BackstayError} REPOSITORY_DAMAGED, STORE, WAL_INVALID. */
export async function recoveryEnd(
  { backup, path, target, endLsn }: PlannedRecovery,
  wal: WalReading,
): Promise<RecoveryEnd> {
  if (target.type === 'immediate') {
    const behind = { path, from: backup.stopLsn, to: endLsn }
    const next = await findFirst(wal, behind, { find: 'record' })
    return { atLeast: backup.stopLsn, atMost: next?.endLsn ?? backup.stopLsn }
  }
  const last = await findLastRecord(wal, { path, from: backup.startLsn, to: endLsn })
  const atLeast = last?.endLsn ?? backup.stopLsn
  if (target.type === 'none') return { atLeast, atMost: undefined }
  if (last === undefined || !stopsBefore(target)) return { atLeast, atMost: atLeast }
  // Between the end of one record and the start of the next there is at most the header of a page.
  return { atLeast: addBytes(last.startLsn, -LONG_HEADER_BYTES), atMost: last.startLsn }
}

/** Whether what was reached is what was planned. */
export function isPlannedEnd({ atLeast, atMost }: RecoveryEnd, reachedLsn: Lsn): boolean {
  return reachedLsn >= atLeast && (atMost === undefined || reachedLsn <= atMost)
}

/** In words: `0/5000028`. */
export function describeEnd({ atLeast, atMost }: RecoveryEnd): string {
  return atMost === undefined ? `${formatLsn(atLeast)} or later` : formatLsn(atMost)
}

/**
 * Whether the record that answers the target is not replayed any more: recovery stops at a time
 * before the first transaction that is too late, at everything else where it is told to.
 */
function stopsBefore(target: RestoreTarget): boolean {
  if (target.type === 'time') return true
  return 'inclusive' in target && !target.inclusive
}
