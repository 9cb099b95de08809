/**
 * CRC-32Cs of pages: made for a stretch of pages, and joined to the CRC of the file they are.
 */
import { crc32c } from '@node-rs/crc32'
import { crc32cShift } from './crc32c-combine.ts'
import { PAGE_BYTES } from './format.ts'

/** How many CRCs a file of so many bytes has; its last page may be incomplete. */
export function pageCountOf(sizeBytes: number): number {
  return Math.ceil(sizeBytes / PAGE_BYTES)
}

/** One CRC a page of `content`, which begins at a page. */
export function pageCrcsOf(content: Buffer): Uint32Array {
  const crcs = new Uint32Array(pageCountOf(content.length))
  for (let page = 0; page < crcs.length; page += 1) {
    const from = page * PAGE_BYTES
    crcs[page] = crc32c(content.subarray(from, from + PAGE_BYTES))
  }
  return crcs
}

/** The CRC of `sizeBytes` bytes from those of their pages. */
export function joinPageCrcs(crcs: Uint32Array, sizeBytes: number): number {
  const shift = pageShift()
  const whole = Math.floor(sizeBytes / PAGE_BYTES)
  let crc = 0
  for (let page = 0; page < whole; page += 1) crc = (shift(crc) ^ (crcs[page] ?? 0)) >>> 0
  const rest = sizeBytes % PAGE_BYTES
  return rest === 0 ? crc : (crc32cShift(rest)(crc) ^ (crcs[whole] ?? 0)) >>> 0
}

let shiftByPage: ((crc: number) => number) | undefined

function pageShift(): (crc: number) => number {
  shiftByPage ??= crc32cShift(PAGE_BYTES)
  return shiftByPage
}
