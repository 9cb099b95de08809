/**
 * Has a primary finish its present segment.
 */
import { type Lsn, toLsn } from '../postgres/lsn.ts'
import { formatSegmentName, segmentOf } from '../postgres/segment-name.ts'
import type { SqlClient } from '../wire/sql-client.ts'

/** The segment that ends with the switch record. */
export interface SwitchedSegment {
  readonly timeline: number
  /** 24 hex digits. */
  readonly segment: string
  /** After the switch record. */
  readonly lsn: Lsn
  /** False when it was at a segment's beginning already, and nothing was written. */
  readonly wasNeeded: boolean
}

/** Whether the server recovers, and so has no segment of its own to finish. */
export async function isInRecovery(sql: SqlClient): Promise<boolean> {
  const { recovering } = await sql.one<{ recovering: boolean }>(
    'SELECT pg_is_in_recovery() AS recovering',
  )
  return recovering
}

/** @throws {BackstayError} POSTGRES_QUERY of a server that recovers, or where it is not allowed */
export async function finishSegment(sql: SqlClient): Promise<SwitchedSegment> {
  const { lsn, name, bytes } = await sql.one<{ lsn: Lsn; name: string; bytes: string }>(
    `SELECT lsn, pg_walfile_name(lsn) AS name,
      (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size') AS bytes
      FROM pg_switch_wal() AS lsn`,
  )
  const segmentBytes = Number(bytes)
  const timeline = Number.parseInt(name.slice(0, 8), 16)
  const last = segmentOf(toLsn(lsn - 1n), { timeline, segmentBytes })
  const wasNeeded = lsn % BigInt(segmentBytes) !== 0n
  return { timeline, segment: formatSegmentName(last, segmentBytes), lsn, wasNeeded }
}
