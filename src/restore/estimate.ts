/**
 * How long a restore takes, from bytes and rates. A guess for planning, printed as one.
 */

/** Bytes a second written, uncompressed, sync included: bench/restore.ts on 2 cores and one SSD. */
const WRITE_RATE = 500e6

/** Files a second when they are small. */
const FILE_RATE = 20_000

/**
 * Bytes a second of WAL: replay by one PostgreSQL process of ordinary traffic, `wal get` being
 * faster.
 */
const REPLAY_RATE = 80e6

/** Milliseconds of each phase. */
export interface RestoreEstimate {
  readonly filesMs: number
  readonly walMs: number
}

/** Estimates both phases from the bytes and files to write and the bytes of WAL to replay. */
export function estimateRestore(work: {
  readonly bytesToWrite: number
  readonly files: number
  readonly walBytes: number
}): RestoreEstimate {
  return {
    filesMs: Math.round((work.bytesToWrite / WRITE_RATE + work.files / FILE_RATE) * 1000),
    walMs: Math.round((work.walBytes / REPLAY_RATE) * 1000),
  }
}
