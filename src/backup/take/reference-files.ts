/**
 * Files of the reference backup with the CRCs of their pages: from the object that holds them, or
 * from the pages themselves where that one is missing or damaged.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { PAGE_BYTES } from '../../repository/format.ts'
import type { ManifestFile } from '../../repository/manifest-entry.ts'
import type { PackReader } from '../../repository/pack-reader.ts'
import type { PageCrcReader } from '../../repository/page-crc-object.ts'
import { joinPageCrcs, pageCountOf, pageCrcsOf } from '../../repository/page-crcs.ts'
import { SliceReader } from '../../repository/slice-reader.ts'
import type { ReferenceIndex } from './reference-index.ts'

/** A file as it is in the reference. */
export interface ReferenceFile {
  readonly file: ManifestFile
  /** One a page; the last page may be incomplete. */
  readonly pageCrcs: Uint32Array
}

/** Where files are looked for. All stay the caller's. */
export interface ReferenceFilesParts {
  readonly index: ReferenceIndex
  /** Undefined for backups that have none. */
  readonly crcs: PageCrcReader | undefined
  readonly packs: PackReader
}

/**
 * Whether the pages make the file that the manifest says. A file of an older incremental backup has
 * no CRC.
 */
function isOf(file: ManifestFile, pageCrcs: Uint32Array): boolean {
  return file.crc32c === undefined || joinPageCrcs(pageCrcs, file.sizeBytes) === file.crc32c
}

/** Finds relation files by their path. */
export class ReferenceFiles {
  readonly #parts: ReferenceFilesParts

  constructor(parts: ReferenceFilesParts) {
    this.#parts = parts
  }

  /**
   * Undefined when the reference has no such file.
   * @throws {BackstayError} REPOSITORY_DAMAGED when its pages cannot be read.
   */
  async find(path: string): Promise<ReferenceFile | undefined> {
    const { index, crcs } = this.#parts
    const found = await index.find(path)
    if (found === undefined) return undefined
    const { file, firstCrcWord } = found
    const known = await crcs?.read(file, firstCrcWord)
    if (known !== undefined && isOf(file, known)) return { file, pageCrcs: known }
    const pageCrcs = await this.#readPages(file)
    if (isOf(file, pageCrcs)) return { file, pageCrcs }
    throw new BackstayError(
      'REPOSITORY_DAMAGED',
      `Cannot build on "${path}" of the reference backup: its pages differ from its CRC-32C`,
    )
  }

  async #readPages(file: ManifestFile): Promise<Uint32Array> {
    const pageCrcs = new Uint32Array(pageCountOf(file.sizeBytes))
    const slices = new SliceReader(file, this.#parts.packs)
    for (let page = 0; page < pageCrcs.length; page += 1) {
      const from = page * PAGE_BYTES
      const content = await slices.read(from, Math.min(PAGE_BYTES, file.sizeBytes - from))
      pageCrcs.set(pageCrcsOf(content), page)
    }
    return pageCrcs
  }
}
