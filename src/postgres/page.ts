/**
 * The header of a data page. Source: PostgreSQL src/include/storage/bufpage.h (PageHeaderData);
 * page-checker.ts judges many pages at once.
 */
import { type Lsn, toLsn } from './lsn.ts'

/** Bytes of a page unless PostgreSQL was built otherwise (`blockBytes` in pg_control). */
export const DEFAULT_BLOCK_BYTES = 8192

/** Bytes of the header. */
const PAGE_HEADER_BYTES = 24

/** A page's header; offsets count from the start of the page. */
interface PageHeader {
  /** End of the WAL record that changed the page last; `0/0` on pages without WAL. */
  readonly lsn: Lsn
  readonly checksum: number
  readonly flags: number
  /** Start and end of the free space; `upper` 0 marks a new page. */
  readonly lower: number
  readonly upper: number
  readonly special: number
  readonly pageBytes: number
  readonly layoutVersion: number
}

/**
 * Reads the header of the page that starts at `offset`.
 * @throws {RangeError} when fewer than 24 bytes are left.
 */
export function readPageHeader(bytes: Uint8Array, offset = 0): PageHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, PAGE_HEADER_BYTES)
  const sizeAndVersion = view.getUint16(18, true)
  return {
    lsn: toLsn((BigInt(view.getUint32(0, true)) << 32n) | BigInt(view.getUint32(4, true))),
    checksum: view.getUint16(8, true),
    flags: view.getUint16(10, true),
    lower: view.getUint16(12, true),
    upper: view.getUint16(14, true),
    special: view.getUint16(16, true),
    pageBytes: sizeAndVersion & 0xff00,
    layoutVersion: sizeAndVersion & 0xff,
  }
}

/**
 * Whether the page was added to its file but never filled: it has no checksum, and is all zeros
 * unless damaged.
 */
export function isNewPage(header: PageHeader): boolean {
  return header.upper === 0
}
