/**
 * Judges many data pages at once, in WebAssembly on SIMD lanes: are their checksums right, which of
 * them changed since. Pages are judged where they lie in the checker's memory, so receive into
 * `memory` directly or copy once. Source: PostgreSQL src/include/storage/checksum_impl.h; the
 * module's own source is scripts/wasm/page-checksum.ts.
 */
import type { Lsn } from './lsn.ts'
import { PAGE_CHECKSUM_WASM } from './page-checksum-wasm.ts'
import { DEFAULT_BLOCK_BYTES } from './page.ts'

/** Pages one after the other in a checker's memory. */
export interface PageRange {
  /** Of the first page, in bytes from the start of the memory. */
  readonly offset: number
  readonly pageCount: number
}

/** A WebAssembly.Memory that threads can share. It can be posted to worker threads. */
export interface PageMemory {
  readonly buffer: SharedArrayBuffer
}

/** What is used of WebAssembly; TypeScript declares it only together with a browser's globals. */
declare const WebAssembly: {
  readonly Memory: new (size: { initial: number; maximum: number; shared: true }) => PageMemory
  readonly Module: new (binary: Uint8Array) => object
  readonly Instance: new (
    module: object,
    imports: { env: { memory: PageMemory } },
  ) => { readonly exports: object }
}

interface Module {
  pageChecksum(page: number, block: number, blockBytes: number): number
  badPages(
    pages: number,
    count: number,
    firstBlock: number,
    blockBytes: number,
    limit: bigint,
  ): bigint
  changedPages(pages: number, count: number, blockBytes: number, lsn: bigint): bigint
}

const WASM_PAGE_BYTES = 65_536
const MASK_PAGES = 64
const NO_LIMIT = 0xffff_ffff_ffff_ffffn

/** Memory for pages, of at least `bytes`, that never moves or grows. */
export function allocatePageMemory(bytes: number): PageMemory {
  const pages = Math.ceil(bytes / WASM_PAGE_BYTES)
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true })
}

/**
 * Checks pages in one memory. Stateless between calls; checkers of several threads may work on the
 * same memory, as long as nobody writes to the pages meanwhile. Needs no closing: the memory goes
 * when nothing refers to it.
 */
export class PageChecker {
  /** The whole memory; a view that stays valid. Place pages here. */
  readonly bytes: Uint8Array
  readonly blockBytes: number
  readonly #module: Module

  constructor(memory: PageMemory, blockBytes = DEFAULT_BLOCK_BYTES) {
    this.bytes = new Uint8Array(memory.buffer)
    this.blockBytes = blockBytes
    this.#module = instantiate(memory)
  }

  /** The checksum the page at `offset` ought to carry as block `block` of its relation. */
  checksum(offset: number, block: number): number {
    return this.#module.pageChecksum(offset, block, this.blockBytes)
  }

  /**
   * Block numbers of the pages whose checksum is wrong, ascending. Only for clusters with data
   * checksums. New pages have none and pass.
   * @param firstBlock number of the first page in its relation, counted through all its segment
   * files.
   * @param limitLsn pages changed at or after it are not judged: while a server writes, they may be
   * copied torn, and WAL replay from there writes them anew.
   */
  findBadPages(range: PageRange, firstBlock: number, limitLsn?: Lsn): readonly number[] {
    const bad: number[] = []
    this.#eachMask(range, (offset, count, first) => {
      const block = firstBlock + first
      const limit = limitLsn ?? NO_LIMIT
      const mask = this.#module.badPages(offset, count, block, this.blockBytes, limit)
      if (mask !== 0n) bad.push(...bitsOf(mask, block))
    })
    return bad
  }

  /**
   * Which pages were changed at or after `lsn` or may have been: bit `n % 8` of byte `n / 8` stands
   * for page n. Pages without LSN (all zeros, or never logged) count as changed: a zero page may
   * stand where there were rows.
   */
  changedSince(range: PageRange, lsn: Lsn): Uint8Array {
    const bitmap = new BigUint64Array(Math.ceil(range.pageCount / MASK_PAGES))
    this.#eachMask(range, (offset, count, first) => {
      const mask = this.#module.changedPages(offset, count, this.blockBytes, lsn)
      bitmap[first / MASK_PAGES] = mask
    })
    return new Uint8Array(bitmap.buffer, 0, Math.ceil(range.pageCount / 8))
  }

  /** Walks a range in steps of as many pages as a mask has bits. */
  #eachMask(range: PageRange, judge: (offset: number, count: number, first: number) => void): void {
    if (range.offset + range.pageCount * this.blockBytes > this.bytes.length) {
      throw new RangeError(`pages end outside the memory of ${this.bytes.length} bytes`)
    }
    for (let first = 0; first < range.pageCount; first += MASK_PAGES) {
      const count = Math.min(MASK_PAGES, range.pageCount - first)
      judge(range.offset + first * this.blockBytes, count, first)
    }
  }
}

let compiled: object | undefined

/** Compiled at first use: most commands never look at a page. */
function instantiate(memory: PageMemory): Module {
  compiled ??= new WebAssembly.Module(Buffer.from(PAGE_CHECKSUM_WASM, 'base64'))
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory } })
  return exports as Module
}

function bitsOf(mask: bigint, firstBlock: number): number[] {
  const bits = BigInt.asUintN(MASK_PAGES, mask)
  return Array.from({ length: MASK_PAGES }, (_, bit) => bit)
    .filter((bit) => ((bits >> BigInt(bit)) & 1n) === 1n)
    .map((bit) => firstBlock + bit)
}
