/**
 * The blocks that a WAL record changes, and whether replaying it needs what stood in them before.
 * Source: PostgreSQL src/include/access/xlogrecord.h, src/backend/access/transam/xlogreader.c
 * (DecodeXLogRecord).
 */
import { RECORD_HEADER_BYTES, type WalRecord } from './wal-record.ts'

/** A block of a relation. */
export interface WalBlock {
  /** 1663 pg_default, 1664 pg_global. */
  readonly tablespaceOid: number
  /** 0 for shared relations. */
  readonly databaseOid: number
  readonly fileNumber: number
  /** 0: main. */
  readonly fork: number
  readonly block: number
  /** Replay writes all of it anew: from an image in the record, or from nothing. */
  readonly isWhole: boolean
}

const LAST_BLOCK_ID = 32
const ORIGIN = 253
const ORIGIN_BYTES = 3
const TOPLEVEL_XID = 252
const TOPLEVEL_XID_BYTES = 5

const FORK_MASK = 0x0f
const HAS_IMAGE = 0x10
const WILL_INIT = 0x40
const SAME_RELATION = 0x80

const HAS_HOLE = 0x01
/** Bits of an image's info: up to 14, and from 15 on. */
const OLD_IMAGE = { compressed: 0x02, apply: 0x04, since: 0 } as const
const IMAGE = { compressed: 0x04 | 0x08 | 0x10, apply: 0x02, since: 15 } as const

const BLOCK_HEADER_BYTES = 4
const IMAGE_HEADER_BYTES = 5
const HOLE_BYTES = 2
const RELATION_BYTES = 12

type RelFileLocator = Pick<WalBlock, 'tablespaceOid' | 'databaseOid' | 'fileNumber'>

/**
 * The blocks of a record of PostgreSQL `major`, in its order.
 * @throws {RangeError} when it is cut off.
 */
export function* blocksOf(record: WalRecord, major: number): Generator<WalBlock> {
  const { buffer, byteOffset, byteLength } = record.bytes
  const view = new DataView(buffer, byteOffset, byteLength)
  const bits = major >= IMAGE.since ? IMAGE : OLD_IMAGE
  let relation: RelFileLocator = { tablespaceOid: 0, databaseOid: 0, fileNumber: 0 }
  for (let at = RECORD_HEADER_BYTES; at < byteLength;) {
    const id = view.getUint8(at)
    if (id === ORIGIN) at += ORIGIN_BYTES
    else if (id === TOPLEVEL_XID) at += TOPLEVEL_XID_BYTES
    if (id === ORIGIN || id === TOPLEVEL_XID) continue
    if (id > LAST_BLOCK_ID) return
    const flags = view.getUint8(at + 1)
    at += BLOCK_HEADER_BYTES
    let isWhole = (flags & WILL_INIT) !== 0
    if ((flags & HAS_IMAGE) !== 0) {
      const info = view.getUint8(at + 4)
      isWhole ||= (info & bits.apply) !== 0
      const hasHoleLength = (info & HAS_HOLE) !== 0 && (info & bits.compressed) !== 0
      at += IMAGE_HEADER_BYTES + (hasHoleLength ? HOLE_BYTES : 0)
    }
    if ((flags & SAME_RELATION) === 0) {
      relation = relationAt(view, at)
      at += RELATION_BYTES
    }
    yield { ...relation, fork: flags & FORK_MASK, block: view.getUint32(at, true), isWhole }
    at += 4
  }
}

function relationAt(view: DataView, at: number): RelFileLocator {
  return {
    tablespaceOid: view.getUint32(at, true),
    databaseOid: view.getUint32(at + 4, true),
    fileNumber: view.getUint32(at + 8, true),
  }
}
