/**
 * The WAL records recovery can stop at or must know: ends of transactions, restore points,
 * checkpoints, switches. Source: PostgreSQL src/include/access/{xact.h,xlog_internal.h},
 * src/include/catalog/pg_control.h, src/backend/access/rmgrdesc/xactdesc.c (ParseCommitRecord,
 * ParseAbortRecord).
 */
import { WAL_LEVELS, type WalLevel } from './control-file.ts'
import { type Lsn, toLsn } from './lsn.ts'
import { LOCATOR_BYTES, locatorAt, type RelFileLocator } from './rel-file-locator.ts'
import type { WalRecord } from './wal-record.ts'

/** What a record says. Times are epoch microseconds: PostgreSQL's own resolution. */
export type WalEvent =
  | {
      readonly kind: 'commit' | 'abort'
      /** Of the transaction that ended; for COMMIT PREPARED the prepared one. */
      readonly xid: number
      readonly timeUs: bigint
    }
  | { readonly kind: 'restore-point'; readonly name: string; readonly timeUs: bigint }
  | {
      readonly kind: 'shutdown-checkpoint' | 'online-checkpoint'
      /** Whole seconds. */
      readonly timeUs: bigint
      readonly redoLsn: Lsn
      readonly timeline: number
      readonly previousTimeline: number
    }
  | {
      readonly kind: 'end-of-recovery'
      readonly timeline: number
      readonly previousTimeline: number
      readonly timeUs: bigint
    }
  | { readonly kind: 'backup-end'; readonly startLsn: Lsn }
  | { readonly kind: 'parameter-change'; readonly walLevel: WalLevel | undefined }
  | { readonly kind: 'switch' }

const XLOG = 0
const TRANSACTION = 1
const INFO_MASK = 0xf0
const SWITCH = 0x40
const XACT_OPERATION_MASK = 0x70
const XACT_HAS_INFO = 0x80
const COMMIT = 0x00
const ABORT = 0x20
const COMMIT_PREPARED = 0x30
const ABORT_PREPARED = 0x40
const XACT_ENDS = [COMMIT, ABORT, COMMIT_PREPARED, ABORT_PREPARED]

/** Microseconds from 1970-01-01 to 2000-01-01, where PostgreSQL's time begins. */
const POSTGRES_EPOCH_US = 946_684_800_000_000n

/** Reads a record; undefined for those without meaning here. `major` decides the layout of some. */
export function walEventOf(record: WalRecord, major: number): WalEvent | undefined {
  if (record.resourceManager > TRANSACTION) return undefined
  const operation = record.info & INFO_MASK
  if (record.resourceManager === XLOG && operation === SWITCH) return { kind: 'switch' }
  const data = record.mainData()
  if (data === undefined) return undefined
  return record.resourceManager === XLOG
    ? xlogEvent(operation, data, major)
    : transactionEvent(record, data, major)
}

function xlogEvent(operation: number, data: DataView, major: number): WalEvent | undefined {
  switch (operation) {
    case 0x00:
      return { kind: 'shutdown-checkpoint', ...checkpoint(data, major) }
    case 0x10:
      return { kind: 'online-checkpoint', ...checkpoint(data, major) }
    case 0x50:
      return { kind: 'backup-end', startLsn: lsnAt(data, 0) }
    case 0x60:
      return { kind: 'parameter-change', walLevel: walLevelOf(data) }
    case 0x70:
      return { kind: 'restore-point', timeUs: timeAt(data, 0), name: textAt(data, 8) }
    case 0x90:
      return {
        kind: 'end-of-recovery',
        timeUs: timeAt(data, 0),
        timeline: data.getUint32(8, true),
        previousTimeline: data.getUint32(12, true),
      }
    default:
      return undefined
  }
}

function checkpoint(
  data: DataView,
  major: number,
): {
  timeUs: bigint
  redoLsn: Lsn
  timeline: number
  previousTimeline: number
} {
  return {
    timeUs: data.getBigInt64(major >= 12 ? 64 : 56, true) * 1_000_000n,
    redoLsn: lsnAt(data, 0),
    timeline: data.getUint32(8, true),
    previousTimeline: data.getUint32(12, true),
  }
}

/** wal_level stands before the two booleans at the end, after four (11) or five numbers. */
function walLevelOf(data: DataView): WalLevel | undefined {
  return WAL_LEVELS[data.getInt32(data.byteLength - 8, true)]
}

function transactionEvent(record: WalRecord, data: DataView, major: number): WalEvent | undefined {
  const timeUs = (): bigint => timeAt(data, 0)
  switch (record.info & XACT_OPERATION_MASK) {
    case COMMIT:
      return { kind: 'commit', xid: record.xid, timeUs: timeUs() }
    case ABORT:
      return { kind: 'abort', xid: record.xid, timeUs: timeUs() }
    case COMMIT_PREPARED:
      return { kind: 'commit', xid: preparedXid(record, data, major), timeUs: timeUs() }
    case ABORT_PREPARED:
      return { kind: 'abort', xid: preparedXid(record, data, major), timeUs: timeUs() }
    default:
      return undefined
  }
}

const HAS_DBINFO = 1 << 0
const HAS_SUBTRANSACTIONS = 1 << 1
const HAS_DROPPED_RELATIONS = 1 << 2
const HAS_INVALIDATIONS = 1 << 3
const HAS_TWOPHASE = 1 << 4
const HAS_DROPPED_STATISTICS = 1 << 8
const XINFO_OFFSET = 8
const DBINFO_BYTES = 8
const XID_BYTES = 4
/** Relations in one record that are listed. */
const DROPPED_MAX = 2 ** 16
const INVALIDATION_BYTES = 16

/** What stands before the prepared transaction's id, in order: flag, and bytes of one item. */
function listsOf(major: number): readonly (readonly [number, number])[] {
  return [
    [HAS_SUBTRANSACTIONS, XID_BYTES],
    [HAS_DROPPED_RELATIONS, LOCATOR_BYTES],
    [HAS_DROPPED_STATISTICS, major >= 18 ? 16 : 12],
    [HAS_INVALIDATIONS, INVALIDATION_BYTES],
  ]
}

/** Where the first list of a record with extra information begins. */
function listsAt(flags: number): number {
  return XINFO_OFFSET + 4 + ((flags & HAS_DBINFO) === 0 ? 0 : DBINFO_BYTES)
}

function preparedXid(record: WalRecord, data: DataView, major: number): number {
  if ((record.info & XACT_HAS_INFO) === 0) return record.xid
  const flags = data.getUint32(XINFO_OFFSET, true)
  if ((flags & HAS_TWOPHASE) === 0) return record.xid
  let at = listsAt(flags)
  for (const [flag, itemBytes] of listsOf(major)) {
    if ((flags & flag) !== 0) at += 4 + data.getUint32(at, true) * itemBytes
  }
  return data.getUint32(at, true)
}

/**
 * The relations whose files go with the end of a transaction, prepared or not, committed or
 * aborted.
 * @throws {RangeError} when the record is shorter than it says, or names more than 65,536.
 */
export function droppedRelationsOf(record: WalRecord): readonly RelFileLocator[] {
  const isEnd = XACT_ENDS.includes(record.info & XACT_OPERATION_MASK)
  const hasMore = isEnd && (record.info & XACT_HAS_INFO) !== 0
  const data = hasMore ? record.mainData() : undefined
  const flags = data?.getUint32(XINFO_OFFSET, true) ?? 0
  if (data === undefined || (flags & HAS_DROPPED_RELATIONS) === 0) return []
  let at = listsAt(flags)
  if ((flags & HAS_SUBTRANSACTIONS) !== 0) at += 4 + data.getUint32(at, true) * XID_BYTES
  const relations: RelFileLocator[] = []
  const count = data.getUint32(at, true)
  if (count > DROPPED_MAX) throw new RangeError(`it drops ${count} relations`)
  for (let index = 0; index < count; index += 1) {
    relations.push(locatorAt(data, at + 4 + index * LOCATOR_BYTES))
  }
  return relations
}

function lsnAt(data: DataView, at: number): Lsn {
  return toLsn(data.getBigUint64(at, true))
}

function timeAt(data: DataView, at: number): bigint {
  return data.getBigInt64(at, true) + POSTGRES_EPOCH_US
}

function textAt(data: DataView, at: number): string {
  const bytes = new Uint8Array(data.buffer, data.byteOffset + at, data.byteLength - at)
  const end = bytes.indexOf(0)
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('utf8')
}
