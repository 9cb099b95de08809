/**
 * The blocks that a WAL record changes, and whether replaying it needs what stood in them before.
 * A full-page image without a change (of hint bits, say) names its block as any other record does.
 * Source: PostgreSQL src/include/access/xlogrecord.h, src/backend/access/transam/xlogreader.c
 * (DecodeXLogRecord).
 */
import type { RelFileLocator } from './rel-file-locator.ts'
import { readU32, RECORD_HEADER_BYTES, type WalRecord } from './wal-record.ts'

/** A block of a relation. */
export interface WalBlock extends RelFileLocator {
  /** 0: main, 1: free space map, 2: visibility map, 3: init. */
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
const OLD_IMAGE = { compressed: 0x02, apply: 0x04 } as const
const IMAGE = { compressed: 0x04 | 0x08 | 0x10, apply: 0x02 } as const
const NEW_IMAGE_MAJOR = 15

const BLOCK_HEADER_BYTES = 4
const IMAGE_HEADER_BYTES = 5
const HOLE_BYTES = 2
const RELATION_BYTES = 12
const BLOCK_NUMBER_BYTES = 4

/**
 * Walks the blocks of one record after the other, in the record's order, without making an object
 * for each: a segment names hundreds of thousands. The fields are those of the block that `next`
 * came to. What of a record is cut off reads as zeros; the CRC has shown that nothing is.
 */
export class BlockCursor implements WalBlock {
  tablespaceOid = 0
  databaseOid = 0
  fileNumber = 0
  fork = 0
  block = 0
  isWhole = false
  readonly #image: { readonly compressed: number; readonly apply: number }
  #bytes: Uint8Array = new Uint8Array(0)
  #at = 0
  /** Behind the headers: where the blocks' images and data begin that are known so far. */
  #end = 0

  /** @param major of the PostgreSQL that wrote the records */
  constructor(major: number) {
    this.#image = major >= NEW_IMAGE_MAJOR ? IMAGE : OLD_IMAGE
  }

  /** Goes to before the first block of a record. */
  open({ bytes }: WalRecord): void {
    this.#bytes = bytes
    this.#at = RECORD_HEADER_BYTES
    this.#end = bytes.length
  }

  /** Goes to the next block; false when there is none. */
  next(): boolean {
    const id = this.#nextId()
    if (id > LAST_BLOCK_ID) return false
    const bytes = this.#bytes
    const flags = bytes[this.#at + 1] ?? 0
    this.#end -= readU16(bytes, this.#at + 2)
    this.fork = flags & FORK_MASK
    this.isWhole = (flags & WILL_INIT) !== 0
    this.#at += BLOCK_HEADER_BYTES
    if ((flags & HAS_IMAGE) !== 0) this.#passImage()
    if ((flags & SAME_RELATION) === 0) {
      this.tablespaceOid = readU32(bytes, this.#at)
      this.databaseOid = readU32(bytes, this.#at + 4)
      this.fileNumber = readU32(bytes, this.#at + 8)
      this.#at += RELATION_BYTES
    }
    this.block = readU32(bytes, this.#at)
    this.#at += BLOCK_NUMBER_BYTES
    return true
  }

  /** A record without main data has nothing that ends its headers but that the rest is data. */
  #nextId(): number {
    while (this.#at < this.#end) {
      const id = this.#bytes[this.#at]
      if (id === ORIGIN) this.#at += ORIGIN_BYTES
      else if (id === TOPLEVEL_XID) this.#at += TOPLEVEL_XID_BYTES
      else return id ?? Infinity
    }
    return Infinity
  }

  #passImage(): void {
    const info = this.#bytes[this.#at + 4] ?? 0
    this.#end -= readU16(this.#bytes, this.#at)
    this.isWhole ||= (info & this.#image.apply) !== 0
    const hasHoleLength = (info & HAS_HOLE) !== 0 && (info & this.#image.compressed) !== 0
    this.#at += IMAGE_HEADER_BYTES + (hasHoleLength ? HOLE_BYTES : 0)
  }
}

function readU16(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8)
}
