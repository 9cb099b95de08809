/**
 * Finds a file of the reference backup by its path, for millions of files in little memory: a hash
 * table of places in the manifest, 16 bytes an entry, from which the entry is read again when asked
 * for.
 */
import { crc32c } from '@node-rs/crc32'
import type { ManifestFile } from '../../repository/manifest-entry.ts'
import { pageCrcWords } from '../../repository/page-crc-object.ts'
import type { ManifestReader, PlacedEntry } from '../../repository/manifest-reader.ts'

/**
 * Fields of a slot in the table: two halves of the place, a hash to tell most other paths apart,
 * and where its CRCs are.
 */
const SLOT_WORDS = 4
const BLOCK = 0
const OFFSET = 1
const HASH = 2
const CRCS = 3
const EMPTY = 0xffff_ffff

/**
 * A file, and where the CRCs of its pages are in the order of the manifest (`page-crc-object.ts`).
 */
export interface IndexedFile {
  readonly file: ManifestFile
  /** Words before it. */
  readonly firstCrcWord: number
}

/** The files of one manifest by path. The manifest must stay open. */
export class ReferenceIndex {
  readonly #manifest: ManifestReader
  readonly #slots: Uint32Array
  readonly #slotCount: number
  #crcWords = 0

  private constructor(manifest: ManifestReader, fileCount: number) {
    this.#manifest = manifest
    this.#slotCount = Math.max(16, Math.ceil(fileCount * 1.4))
    this.#slots = new Uint32Array(this.#slotCount * SLOT_WORDS).fill(EMPTY)
  }

  /**
   * Reads the whole manifest once. `fileCount`: as backup.json says.
   * @throws {BackstayError} REPOSITORY_DAMAGED
   */
  static async build(manifest: ManifestReader, fileCount: number): Promise<ReferenceIndex> {
    const index = new ReferenceIndex(manifest, fileCount)
    for await (const placed of manifest.placedEntries()) {
      if (placed.entry.kind !== 'file') continue
      index.#add(placed, placed.entry.path)
      index.#crcWords += pageCrcWords(placed.entry)
    }
    return index
  }

  /** The file at `path`; undefined when the reference has none. */
  async find(path: string): Promise<IndexedFile | undefined> {
    const hash = crc32c(path)
    for (let slot = this.#firstSlot(hash); ; slot = (slot + 1) % this.#slotCount) {
      const at = slot * SLOT_WORDS
      const block = this.#slots[at + BLOCK] ?? EMPTY
      if (block === EMPTY) return undefined
      if (this.#slots[at + HASH] !== hash) continue
      const place = { block, offset: this.#slots[at + OFFSET] ?? 0 }
      const entry = await this.#manifest.entryAt(place)
      if (entry.kind !== 'file' || entry.path !== path) continue
      return { file: entry, firstCrcWord: this.#slots[at + CRCS] ?? 0 }
    }
  }

  #add(placed: PlacedEntry, path: string): void {
    const hash = crc32c(path)
    let slot = this.#firstSlot(hash)
    while (this.#slots[slot * SLOT_WORDS + BLOCK] !== EMPTY) slot = (slot + 1) % this.#slotCount
    this.#slots[slot * SLOT_WORDS + BLOCK] = placed.place.block
    this.#slots[slot * SLOT_WORDS + OFFSET] = placed.place.offset
    this.#slots[slot * SLOT_WORDS + HASH] = hash
    // Beyond 16 TB of pages it does not fit, and means a place that nothing can be read from.
    this.#slots[slot * SLOT_WORDS + CRCS] = Math.min(this.#crcWords, EMPTY)
  }

  /** Multiplied, because CRCs of paths that differ in their last digits lie close together. */
  #firstSlot(hash: number): number {
    return (Math.imul(hash, 0x9e37_79b1) >>> 0) % this.#slotCount
  }
}
