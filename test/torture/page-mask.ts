/**
 * A page without what may rightly differ between a primary and a copy that replayed its WAL: the same rules by which PostgreSQL
 * compares pages under wal_consistency_checking (bufmask.c, heap_mask, btree_mask).
 */
import { crc32 } from 'node:zlib'

export const PAGE_BYTES = 8192

/** How the items of a relation's pages are laid out. */
export type PageKind = 'heap' | 'btree'

/** What a page that holds nothing counts as: it may be there or not, zero or initialised. */
export const EMPTY_PAGE = 0

const HEADER_BYTES = 24
const FLAGS_AT = 10
const LOWER_AT = 12
const UPPER_AT = 14
const SPECIAL_AT = 16
const PRUNE_XID_AT = 20
/** PD_HAS_FREE_LINES, PD_PAGE_FULL, PD_ALL_VISIBLE. */
const HINT_FLAGS = 0x0007
const LP_NORMAL = 1

const TUPLE_CID_AT = 8
const TUPLE_CTID_AT = 12
const TUPLE_OFFSET_NUMBER_AT = 16
const TUPLE_INFOMASK_AT = 20
const XACT_MASK = 0xfff0
const XMIN_FROZEN = 0x0300
const XMAX_HINTS = 0x0c00
const SPECULATIVE_TOKEN = 0xfffe

const BTREE_LEAF = 0x0001
const BTREE_DELETED = 0x0004
/** BTP_HAS_GARBAGE, BTP_SPLIT_END. */
const BTREE_HINT_FLAGS = 0x0060

/** A number for the page's content; `page` is changed. EMPTY_PAGE for one that holds nothing. */
export function maskedSum(page: Buffer, kind: PageKind): number {
  const lower = page.readUInt16LE(LOWER_AT)
  const upper = page.readUInt16LE(UPPER_AT)
  if (upper === 0) return page.every((byte) => byte === 0) ? EMPTY_PAGE : crc32(page)
  if (kind === 'heap' && lower === HEADER_BYTES) return EMPTY_PAGE
  page.fill(0, 0, FLAGS_AT)
  page.writeUInt16LE(page.readUInt16LE(FLAGS_AT) & ~HINT_FLAGS, FLAGS_AT)
  page.fill(0, PRUNE_XID_AT, HEADER_BYTES)
  if (lower <= upper && upper <= PAGE_BYTES) page.fill(0, lower, upper)
  if (kind === 'heap') maskTuples(page, lower)
  else maskIndexPage(page, lower)
  return crc32(page)
}

function maskTuples(page: Buffer, lower: number): void {
  for (let at = HEADER_BYTES; at + 4 <= lower; at += 4) {
    const pointer = page.readUInt32LE(at)
    const offset = pointer & 0x7fff
    const length = pointer >>> 17
    if (((pointer >>> 15) & 3) !== LP_NORMAL || offset + length > PAGE_BYTES) continue
    maskTuple(page.subarray(offset, offset + length))
    page.fill(0, offset + length, Math.min(PAGE_BYTES, offset + ((length + 7) & ~7)))
  }
}

function maskTuple(tuple: Buffer): void {
  const bits = tuple.readUInt16LE(TUPLE_INFOMASK_AT)
  const isFrozen = (bits & XMIN_FROZEN) === XMIN_FROZEN
  tuple.writeUInt16LE(bits & ~(isFrozen ? XMAX_HINTS : XACT_MASK), TUPLE_INFOMASK_AT)
  tuple.fill(0, TUPLE_CID_AT, TUPLE_CTID_AT)
  const isSpeculative = tuple.readUInt16LE(TUPLE_OFFSET_NUMBER_AT) === SPECULATIVE_TOKEN
  if (isSpeculative) tuple.fill(0, TUPLE_CTID_AT, TUPLE_OFFSET_NUMBER_AT + 2)
}

function maskIndexPage(page: Buffer, lower: number): void {
  const special = page.readUInt16LE(SPECIAL_AT)
  if (special + 16 > PAGE_BYTES) return
  const flagsAt = special + 12
  const flags = page.readUInt16LE(flagsAt)
  page.writeUInt16LE(flags & ~BTREE_HINT_FLAGS, flagsAt)
  page.fill(0, special + 14, special + 16)
  // Replay makes it anew, with nothing in it; where it was deleted its items are left as they are.
  if ((flags & BTREE_DELETED) !== 0) {
    page.fill(0, LOWER_AT, SPECIAL_AT)
    page.fill(0, HEADER_BYTES)
    return
  }
  if ((flags & BTREE_LEAF) === 0) return
  for (let at = HEADER_BYTES; at + 4 <= lower; at += 4) {
    page.writeUInt32LE(page.readUInt32LE(at) & ~0x18000, at)
  }
}
