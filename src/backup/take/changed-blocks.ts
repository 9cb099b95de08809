/**
 * Which blocks of relations' main forks changed since the reference, as far as an incremental
 * stream has told.
 */
import { PAGE_BYTES } from '../../repository/format.ts'
import { parseRelationPath, RELATION_SEGMENT_BLOCKS } from '../../postgres/relation-path.ts'
import type { IncrementalHeader } from './incremental-header.ts'

/** A bit for each block of a file; `all` of a file that was sent whole. */
type FileBlocks = 'all' | Uint8Array

/**
 * Collected while files come in. One bit a block, only for files of which something changed: 16 MB
 * for each TB.
 */
export class ChangedBlocks {
  /** By relation, then by segment. */
  readonly #files = new Map<string, Map<number, FileBlocks>>()
  /** Where each relation ends, in blocks. */
  readonly #ends = new Map<string, number>()

  /** The file at `path` was sent whole. Nothing for what is no main fork. */
  addWhole(path: string, sizeBytes: number): void {
    this.#put(path, Math.ceil(sizeBytes / PAGE_BYTES), () => 'all')
  }

  /** Blocks of the file at `path`, numbered within it; the file has `fileBlocks`. */
  add(
    path: string,
    { blocks, fileBlocks }: Pick<IncrementalHeader, 'blocks' | 'fileBlocks'>,
  ): void {
    this.#put(path, fileBlocks, () => {
      if (blocks.length === 0) return undefined
      const bits = new Uint8Array(RELATION_SEGMENT_BLOCKS / 8)
      for (const block of blocks) bits[block >> 3] = (bits[block >> 3] ?? 0) | (1 << (block & 7))
      return bits
    })
  }

  /**
   * Whether a block, numbered in its fork, of `relation` (as RelationFile names it) changed. A
   * block behind its end did, and every block of a relation that did not come.
   */
  of(relation: string): (block: number) => boolean {
    const end = this.#ends.get(relation) ?? 0
    const segments = this.#files.get(relation)
    return (block) => {
      if (block >= end) return true
      const file = segments?.get(Math.floor(block / RELATION_SEGMENT_BLOCKS))
      if (file === undefined || file === 'all') return file === 'all'
      const inFile = block % RELATION_SEGMENT_BLOCKS
      return ((file[inFile >> 3] ?? 0) & (1 << (inFile & 7))) !== 0
    }
  }

  #put(path: string, fileBlocks: number, blocks: () => FileBlocks | undefined): void {
    const file = parseRelationPath(path)
    if (file?.fork !== 'main') return
    const end = file.segment * RELATION_SEGMENT_BLOCKS + fileBlocks
    this.#ends.set(file.relation, Math.max(end, this.#ends.get(file.relation) ?? 0))
    const changed = blocks()
    if (changed === undefined) return
    const segments = this.#files.get(file.relation) ?? new Map<number, FileBlocks>()
    segments.set(file.segment, changed)
    this.#files.set(file.relation, segments)
  }
}
