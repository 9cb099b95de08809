/**
 * AssemblyScript: PostgreSQL's page checksum and a scan of page LSNs, on SIMD lanes. Compiled by scripts/build-wasm.ts.
 * Holds no state and writes no memory, so threads may run it on one shared memory at once. Answers are bit masks:
 * bit n stands for page n of at most 64.
 * Source: PostgreSQL src/include/storage/checksum_impl.h (32 parallel FNV-1a variants), bufpage.h (PageHeaderData).
 */

const PRIME = i32x4.splat(16777619)
const ROW_BYTES: usize = 128
const UPPER_OFFSET: usize = 14
const CHECKSUM_OFFSET: usize = 8

/** Everything but the two bytes of pd_checksum, which count as zero. */
const WITHOUT_CHECKSUM = i32x4(-1, -1, 0xffff0000, -1)

// @ts-ignore: decorator
@inline
function mix(sum: v128, value: v128): v128 {
  const mixed = v128.xor(sum, value)
  return v128.xor(i32x4.mul(mixed, PRIME), i32x4.shr_u(mixed, 17))
}

/** The checksum that belongs on the page at `page` when it is block `block` of its relation. */
export function pageChecksum(page: usize, block: u32, blockBytes: u32): u32 {
  let a = i32x4(0x5b1f36e9, 0xb8525960, 0x02ab50aa, 0x1de66d2a)
  let b = i32x4(0x79ff467a, 0x9bb9f8a3, 0x217e7cd2, 0x83e13d2c)
  let c = i32x4(0xf8d4474f, 0xe39eb970, 0x42c6ae16, 0x993216fa)
  let d = i32x4(0x7b093b5d, 0x98daff3c, 0xf718902a, 0x0b1c9cdb)
  let e = i32x4(0xe58f764b, 0x187636bc, 0x5d7b3bb1, 0xe73de7de)
  let f = i32x4(0x92bec979, 0xcca6c0b2, 0x304a0979, 0x85aa43d4)
  let g = i32x4(0x783125bb, 0x6ca8eaa2, 0xe407eac6, 0x4b5cfc3e)
  let h = i32x4(0x9fbf8c76, 0x15ca20be, 0xf2ca9fd3, 0x959bd756)
  let first = v128.and(v128.load(page), WITHOUT_CHECKSUM)
  const end = page + blockBytes
  for (let row = page; row < end; row += ROW_BYTES) {
    a = mix(a, first)
    b = mix(b, v128.load(row, 16))
    c = mix(c, v128.load(row, 32))
    d = mix(d, v128.load(row, 48))
    e = mix(e, v128.load(row, 64))
    f = mix(f, v128.load(row, 80))
    g = mix(g, v128.load(row, 96))
    h = mix(h, v128.load(row, 112))
    if (row + ROW_BYTES < end) first = v128.load(row, 128)
  }
  const zero = i32x4.splat(0)
  for (let round = 0; round < 2; round++) {
    a = mix(a, zero)
    b = mix(b, zero)
    c = mix(c, zero)
    d = mix(d, zero)
    e = mix(e, zero)
    f = mix(f, zero)
    g = mix(g, zero)
    h = mix(h, zero)
  }
  const left = v128.xor(v128.xor(a, b), v128.xor(c, d))
  const right = v128.xor(v128.xor(e, f), v128.xor(g, h))
  const all = v128.xor(left, right)
  const folded =
    i32x4.extract_lane(all, 0) ^
    i32x4.extract_lane(all, 1) ^
    i32x4.extract_lane(all, 2) ^
    i32x4.extract_lane(all, 3)
  return (((<u32>folded) ^ block) % 65535) + 1
}

/** pd_lsn: two 32-bit halves, the high one first. */
// @ts-ignore: decorator
@inline
function pageLsn(page: usize): u64 {
  return ((<u64>load<u32>(page)) << 32) | (<u64>load<u32>(page, 4))
}

/**
 * Which of `count` pages carry a wrong checksum. New pages (pd_upper 0) and pages changed at or after `limit` are not judged.
 */
export function badPages(pages: usize, count: u32, firstBlock: u32, blockBytes: u32, limit: u64): u64 {
  let bad: u64 = 0
  for (let index: u32 = 0; index < count; index++) {
    const page = pages + <usize>index * blockBytes
    if (load<u16>(page, UPPER_OFFSET) == 0 || pageLsn(page) >= limit) continue
    const stored = <u32>load<u16>(page, CHECKSUM_OFFSET)
    if (stored != pageChecksum(page, firstBlock + index, blockBytes)) bad |= (<u64>1) << index
  }
  return bad
}

/** Which of `count` pages were changed at or after `lsn`, or may have been: a page without LSN counts as changed. */
export function changedPages(pages: usize, count: u32, blockBytes: u32, lsn: u64): u64 {
  let changed: u64 = 0
  for (let index: u32 = 0; index < count; index++) {
    const found = pageLsn(pages + <usize>index * blockBytes)
    if (found == 0 || found >= lsn) changed |= (<u64>1) << index
  }
  return changed
}
