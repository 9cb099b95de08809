/**
 * Parameter-change records: the settings that whoever replays WAL must not have lower than the
 * server that wrote it. They are found by the bytes they begin with instead of by walking all
 * records, so that terabytes of WAL can be looked through; what looks like one is then read as a
 * record, with its page, link and CRC. Source: PostgreSQL src/include/access/xlog_internal.h
 * (xl_parameter_change), src/backend/access/transam/xlog.c (XLogReportParameters).
 */
import type { ControlParameters } from './control-file.ts'
import { addBytes, type Lsn } from './lsn.ts'
import { DEFAULT_WAL_BLOCK_BYTES } from './wal-page.ts'
import { RECORD_ALIGNMENT, RECORD_HEADER_BYTES, type WalRecord } from './wal-record.ts'
import { WalScanner } from './wal-scanner.ts'

/** The settings replay checks; `maxWalSenders` is undefined up to PostgreSQL 11. */
export type ReplayDemands = Pick<
  ControlParameters,
  | 'maxConnections'
  | 'maxWorkerProcesses'
  | 'maxWalSenders'
  | 'maxPreparedTransactions'
  | 'maxLocksPerTransaction'
>

/**
 * A segment, whole or its beginning. `following`: the first page of the next one, when it is held.
 */
export interface SegmentBytes {
  readonly bytes: Uint8Array
  readonly startLsn: Lsn
  readonly segmentBytes: number
  readonly following?: Uint8Array | undefined
}

/**
 * Length of the data, with its alignment: four numbers up to 11, five from 12 on, wal_level and two
 * booleans.
 */
const DATA_BYTES_11 = 24
const DATA_BYTES = 28
const DATA_HEADER_BYTES = 2
const INFO_OFFSET = 16
const PARAMETER_CHANGE = 0x60
const INFO_MASK = 0xf0

/** What the parameter-change records that begin in the segment demand. */
export function findParameterChanges(segment: SegmentBytes): readonly ReplayDemands[] {
  return parameterChangesIn(segment).flatMap((record) => demandsOf(record) ?? [])
}

/** The parameter-change records that begin in the segment. */
export function parameterChangesIn(segment: SegmentBytes): readonly WalRecord[] {
  return [DATA_BYTES_11, DATA_BYTES].flatMap((dataBytes) =>
    candidates(segment.bytes, RECORD_HEADER_BYTES + DATA_HEADER_BYTES + dataBytes).flatMap((at) => {
      const record = recordAt(segment, at)
      return record === undefined || !isParameterChange(record) ? [] : [record]
    }),
  )
}

function isParameterChange(record: WalRecord): boolean {
  return record.resourceManager === 0 && (record.info & INFO_MASK) === PARAMETER_CHANGE
}

/** The higher of each. */
export function higherDemands(one: ReplayDemands, other: ReplayDemands): ReplayDemands {
  const senders = Math.max(one.maxWalSenders ?? 0, other.maxWalSenders ?? 0)
  const hasSenders = one.maxWalSenders !== undefined || other.maxWalSenders !== undefined
  return {
    maxConnections: Math.max(one.maxConnections, other.maxConnections),
    maxWorkerProcesses: Math.max(one.maxWorkerProcesses, other.maxWorkerProcesses),
    maxWalSenders: hasSenders ? senders : undefined,
    maxPreparedTransactions: Math.max(one.maxPreparedTransactions, other.maxPreparedTransactions),
    maxLocksPerTransaction: Math.max(one.maxLocksPerTransaction, other.maxLocksPerTransaction),
  }
}

/**
 * Where records of this length without a transaction begin that may be one. Length and transaction
 * never lie on two pages.
 */
function candidates(bytes: Uint8Array, totalBytes: number): number[] {
  const pattern = Buffer.alloc(8)
  pattern.writeUInt32LE(totalBytes, 0)
  const found: number[] = []
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = buffer.indexOf(pattern); at >= 0; at = buffer.indexOf(pattern, at + 1)) {
    if (at % RECORD_ALIGNMENT === 0 && mayBe(buffer, at)) found.push(at)
  }
  return found
}

function mayBe(buffer: Buffer, at: number): boolean {
  const isOnOnePage =
    (at % DEFAULT_WAL_BLOCK_BYTES) + RECORD_HEADER_BYTES <= DEFAULT_WAL_BLOCK_BYTES
  if (!isOnOnePage) return true
  return (
    ((buffer[at + INFO_OFFSET] ?? 0) & INFO_MASK) === PARAMETER_CHANGE &&
    buffer[at + INFO_OFFSET + 1] === 0
  )
}

/** The record that begins at `at`, found by walking the page it begins on. */
function recordAt(segment: SegmentBytes, at: number): WalRecord | undefined {
  const { bytes, segmentBytes } = segment
  const page = at - (at % DEFAULT_WAL_BLOCK_BYTES)
  const startLsn = addBytes(segment.startLsn, page)
  const lsn = addBytes(segment.startLsn, at)
  const scanner = new WalScanner({ startLsn, segmentBytes })
  const two = bytes.subarray(page, page + 2 * DEFAULT_WAL_BLOCK_BYTES)
  const isLast = page + DEFAULT_WAL_BLOCK_BYTES === segmentBytes
  const pieces = isLast && segment.following !== undefined ? [two, segment.following] : [two]
  for (const piece of pieces) {
    for (const record of scanner.push(piece)) if (record.lsn === lsn) return record
  }
  return undefined
}

function demandsOf(record: WalRecord): ReplayDemands | undefined {
  const data = record.mainData()
  if (data === undefined) return undefined
  const number = (index: number): number => data.getInt32(index * 4, true)
  const hasSenders = data.byteLength >= DATA_BYTES
  const after = hasSenders ? 3 : 2
  return {
    maxConnections: number(0),
    maxWorkerProcesses: number(1),
    maxWalSenders: hasSenders ? number(2) : undefined,
    maxPreparedTransactions: number(after),
    maxLocksPerTransaction: number(after + 1),
  }
}
