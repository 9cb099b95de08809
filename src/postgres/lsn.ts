/**
 * WAL positions. Inside the program an LSN is a branded bigint; text (`16/B374D848`) only at the
 * edges. Source: PostgreSQL documentation, "pg_lsn Type".
 */

declare const brand: unique symbol

/** A byte position in the WAL stream (64 bits). Compare with `<`, `===`; subtract to get bytes. */
export type Lsn = bigint & { readonly [brand]: 'Lsn' }

/** The position that PostgreSQL calls invalid: `0/0`. */
export const INVALID_LSN = 0n as Lsn

const PATTERN = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/

/** Reads `X/X`; undefined when `text` is none. */
export function parseLsn(text: string): Lsn | undefined {
  const match = PATTERN.exec(text.trim())
  if (match === null) return undefined
  return ((BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`)) as Lsn
}

/** Writes an LSN as PostgreSQL does: `16/B374D848`. */
export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16)}/${(lsn & 0xffffffffn).toString(16)}`.toUpperCase()
}

/** Brands a bigint that is known to be a WAL position. */
export function toLsn(value: bigint): Lsn {
  return BigInt.asUintN(64, value) as Lsn
}

/** `lsn` moved by `bytes` (may be negative). */
export function addBytes(lsn: Lsn, bytes: number | bigint): Lsn {
  return toLsn(lsn + BigInt(bytes))
}

/** Bytes from `from` to `to`; negative when `to` lies before. Exact up to 2^53. */
export function bytesBetween(from: Lsn, to: Lsn): number {
  return Number(to - from)
}
