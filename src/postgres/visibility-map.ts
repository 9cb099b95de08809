/**
 * Pages of a visibility map: two bits for each block of a relation's main fork. What they say is a
 * promise (all rows are visible, all are frozen), so clearing bits is always right, and costs the
 * next VACUUM a look at the block. Source: PostgreSQL src/include/access/visibilitymapdefs.h,
 * src/backend/access/heap/visibilitymap.c.
 */
import { allocatePageMemory, PageChecker } from './page-checker.ts'
import { DEFAULT_BLOCK_BYTES, isNewPage, readPageHeader } from './page.ts'

const HEADER_BYTES = 24
const CHECKSUM_AT = 8
const BLOCKS_PER_BYTE = 4
const BOTH_BITS = 0b11

/** Blocks of the main fork that one page of the map speaks of. */
export const BLOCKS_PER_MAP_PAGE = (DEFAULT_BLOCK_BYTES - HEADER_BYTES) * BLOCKS_PER_BYTE

/** Clears bits in pages of maps. Calls may not overlap. */
export class VisibilityCleaner {
  readonly #checker = new PageChecker(allocatePageMemory(DEFAULT_BLOCK_BYTES))
  readonly #checksums: boolean

  /** @param checksums whether the cluster's pages carry them */
  constructor(checksums: boolean) {
    this.#checksums = checksums
  }

  /**
   * The page without the bits of the blocks that `isChanged` names; undefined when none of them is
   * set.
   * @param page stays as it is; the result is the caller's
   * @param mapBlock number of the page in its fork
   */
  clear(
    page: Uint8Array,
    mapBlock: number,
    isChanged: (block: number) => boolean,
  ): Buffer | undefined {
    if (isNewPage(readPageHeader(page))) return undefined
    const cleared = Buffer.from(page)
    const first = mapBlock * BLOCKS_PER_MAP_PAGE
    for (let index = 0; index < BLOCKS_PER_MAP_PAGE; index += 1) {
      const at = HEADER_BYTES + Math.floor(index / BLOCKS_PER_BYTE)
      if (cleared[at] === 0) index += BLOCKS_PER_BYTE - 1 - (index % BLOCKS_PER_BYTE)
      else if (isChanged(first + index)) cleared[at] = withoutBits(cleared[at], index)
    }
    if (cleared.equals(page)) return undefined
    if (this.#checksums) cleared.writeUInt16LE(this.#checksum(cleared, mapBlock), CHECKSUM_AT)
    return cleared
  }

  #checksum(page: Uint8Array, mapBlock: number): number {
    this.#checker.bytes.set(page)
    return this.#checker.checksum(0, mapBlock)
  }
}

function withoutBits(byte: number | undefined, index: number): number {
  return (byte ?? 0) & ~(BOTH_BITS << ((index % BLOCKS_PER_BYTE) * 2))
}
