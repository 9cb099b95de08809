/**
 * Questions to a piece of WAL that is at hand whole: where does it end, and where does one record
 * of it end?
 */
import type { Lsn } from './lsn.ts'
import type { WalRecord } from './wal-record.ts'
import { WalScanner, type WalScanStart, type WalScanStop } from './wal-scanner.ts'

/** Where valid WAL ends. */
export interface ValidWalEnd {
  /** End of the last complete and valid record; `start` itself when there is none. */
  readonly endLsn: Lsn
  /**
   * What stands there instead; undefined when the bytes simply end, within a record or between two.
   */
  readonly stop: WalScanStop | undefined
}

/**
 * Finds where valid WAL ends: the truth about a spool file or a `.partial` after a crash.
 * @param bytes WAL from `start.startLsn` on.
 */
export function findWalEnd(bytes: Uint8Array, start: WalScanStart): ValidWalEnd {
  const scanner = new WalScanner(start)
  for (const _record of scanner.push(bytes));
  return { endLsn: scanner.endLsn, stop: scanner.stop }
}

/**
 * The record that starts at `start.recordLsn`; undefined when `bytes` do not hold all of it or it
 * is not valid. `findRecord(…)?.endLsn` of a clean shutdown's checkpoint is the position a standby
 * must have received before it may be promoted without loss: pg_control names only the record's
 * start.
 */
export function findRecord(
  bytes: Uint8Array,
  start: WalScanStart & { readonly recordLsn: Lsn },
): WalRecord | undefined {
  const [first] = new WalScanner(start).push(bytes)
  return first?.lsn === start.recordLsn ? first : undefined
}
