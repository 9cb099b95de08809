/**
 * Changes of wal_level as WAL tells them. What was written under `minimal` cannot be recovered
 * from: whole files changed beside it.
 */
import type { WalLevel } from '../postgres/control-file.ts'
import type { Lsn } from '../postgres/lsn.ts'
import { walEventOf } from '../postgres/wal-event.ts'
import type { WalRecord } from '../postgres/wal-record.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { recordBarrier } from './gaps.ts'

/** From `lsn` on, the start of the record that says so, WAL is of `walLevel`. */
export interface WalLevelChange {
  readonly lsn: Lsn
  /** After that record. */
  readonly endLsn: Lsn
  readonly walLevel: WalLevel
}

const XLOG = 0
const PARAMETER_CHANGE = 0x60
const INFO_MASK = 0xf0

/** What a record says of wal_level; undefined for all others. */
export function walLevelChangeOf(record: WalRecord, major: number): WalLevelChange | undefined {
  if (record.resourceManager !== XLOG || (record.info & INFO_MASK) !== PARAMETER_CHANGE) {
    return undefined
  }
  const event = walEventOf(record, major)
  if (event?.kind !== 'parameter-change' || event.walLevel === undefined) return undefined
  return { lsn: record.lsn, endLsn: record.endLsn, walLevel: event.walLevel }
}

/**
 * Remembers where WAL of a segment says that what follows cannot be recovered through. Durable when
 * it resolves.
 */
export async function recordMinimal(
  repository: ClusterRepository,
  timeline: number,
  changes: readonly WalLevelChange[],
): Promise<void> {
  for (const { lsn, endLsn, walLevel } of changes) {
    if (walLevel !== 'minimal') continue
    const reason = 'What follows was written under wal_level = minimal: recovery cannot pass it'
    await recordBarrier(repository, { timeline, startLsn: lsn, endLsn }, reason)
  }
}
