/**
 * Changes of wal_level as WAL tells them. Source: PostgreSQL src/include/access/xlog_internal.h
 * (xl_parameter_change), src/backend/access/transam/xlog.c (XLogReportParameters).
 */
import type { WalLevel } from './control-file.ts'
import type { Lsn } from './lsn.ts'
import { walEventOf } from './wal-event.ts'
import type { WalRecord } from './wal-record.ts'

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
