/**
 * Verifies the bytes of one file of a backup: units decompress, the CRC-32C is right, page
 * checksums are right.
 */
import { crc32c } from '@node-rs/crc32'
import { isBackstayError } from '../../errors/backstay-error.ts'
import { allocatePageMemory, PageChecker } from '../../postgres/page-checker.ts'
import type { BackupInfo } from '../../repository/backup-info.ts'
import { PAGE_BYTES, UNIT_BYTES } from '../../repository/format.ts'
import type { Extent, ManifestFile, Unit } from '../../repository/manifest-entry.ts'
import { combineCrc32c, crc32cOfZeros } from '../../repository/crc32c-combine.ts'
import type { PackReader } from '../../repository/pack-reader.ts'
import { firstBlockOfPath } from '../../postgres/relation-path.ts'
import type { ReportBuilder } from './report.ts'

/** What files are verified with. */
export interface FileVerification {
  readonly info: BackupInfo
  readonly packs: PackReader
  /** Whether a unit is to be read. */
  readonly isWanted: (unit: Unit) => boolean
  readonly report: ReportBuilder
}

/** Verifies file after file. One call at a time. */
export class FileVerifier {
  readonly #verification: FileVerification
  readonly #checker = new PageChecker(allocatePageMemory(UNIT_BYTES), PAGE_BYTES)
  readonly #knownPages: ReadonlySet<string>
  /** Packs in which something was left out. */
  readonly #skipped = new Set<string>()
  #lastUnit: Unit | undefined

  constructor(verification: FileVerification) {
    this.#verification = verification
    this.#knownPages = new Set(
      [...verification.info.badPages.list, ...(verification.info.tornPages ?? [])].map(
        ({ path, block }) => `${path}@${block}`,
      ),
    )
  }

  /** Packs of which not everything needed was read. */
  get skippedPacks(): ReadonlySet<string> {
    return this.#skipped
  }

  async verify(file: ManifestFile): Promise<void> {
    const { report } = this.#verification
    report.counts.files += 1
    let crc = 0
    let position = 0
    let isWhole = true
    for (const extent of file.extents) {
      const isHole = extent.unit === undefined
      const content = isHole ? undefined : await this.#read(file, extent, extent.unit)
      if (isHole) {
        // Of any length, in no memory: pages of zeros are right.
        crc = combineCrc32c(crc, crc32cOfZeros(extent.length), extent.length)
        if (this.#hasChecksums(file, position)) {
          report.counts.pagesChecked += Math.floor(extent.length / PAGE_BYTES)
        }
      } else if (content === undefined) isWhole = false
      else {
        crc = crc32c(content, crc)
        this.#checkPages(file, content, position)
      }
      position += extent.length
    }
    if (!isWhole || file.crc32c === undefined) return
    report.counts.filesCompared += 1
    if (file.sizeBytes === 0 || crc === file.crc32c) return
    report.damaged(file.path, 'its content differs from its CRC-32C', { packs: packsOf(file) })
  }

  /** Undefined when it was left out or is damaged. */
  async #read(file: ManifestFile, extent: Extent, unit: Unit): Promise<Buffer | undefined> {
    const { packs, isWanted, report } = this.#verification
    const isNew = !isSame(unit, this.#lastUnit)
    this.#lastUnit = unit
    if (!isWanted(unit)) {
      if (isNew) report.counts.unitsSkipped += 1
      this.#skipped.add(unit.pack)
      return undefined
    }
    try {
      const content = await packs.extent(extent)
      if (isNew) {
        report.counts.unitsRead += 1
        report.counts.bytesRead += unit.rawBytes
      }
      return content
    } catch (error) {
      if (!isBackstayError(error, 'REPOSITORY_DAMAGED')) throw error
      report.damaged(file.path, error.message, { packs: [unit.pack] })
      return undefined
    }
  }

  /**
   * Pages changed since the backup's start may be torn, and WAL replay writes them anew; known bad
   * pages are known.
   */
  #checkPages(file: ManifestFile, content: Buffer, position: number): void {
    const { info, report } = this.#verification
    const firstBlock = firstBlockOfPath(file.path)
    if (firstBlock === undefined || !this.#hasChecksums(file, position)) return
    for (let at = 0; at < content.length; at += UNIT_BYTES) {
      const part = content.subarray(at, at + UNIT_BYTES)
      const pageCount = Math.floor(part.length / PAGE_BYTES)
      const first = (position + at) / PAGE_BYTES
      this.#checker.bytes.set(part)
      report.counts.pagesChecked += pageCount
      const bad = this.#checker
        .findBadPages({ offset: 0, pageCount }, firstBlock + first, info.startLsn)
        .map((block) => block - firstBlock)
        .filter((block) => !this.#isKnown(file, block))
      if (bad.length === 0) continue
      const problem = `page checksum of block ${bad.join(', ')} is wrong`
      report.damaged(file.path, problem, { packs: packsOf(file) })
    }
  }

  #hasChecksums({ path }: ManifestFile, position: number): boolean {
    const isPaged = position % PAGE_BYTES === 0 && firstBlockOfPath(path) !== undefined
    return isPaged && this.#verification.info.postgres.dataChecksums
  }

  /**
   * Bad pages beyond those that backup.json lists cannot be told apart from new damage, and the
   * backup is marked anyway.
   */
  #isKnown(file: ManifestFile, block: number): boolean {
    const { count, list } = this.#verification.info.badPages
    return count > list.length || this.#knownPages.has(`${file.path}@${block}`)
  }
}

function packsOf(file: ManifestFile): string[] {
  return file.extents.flatMap(({ unit }) => (unit === undefined ? [] : [unit.pack]))
}

function isSame(a: Unit, b: Unit | undefined): boolean {
  return a.pack === b?.pack && a.offset === b.offset
}
