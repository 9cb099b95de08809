/**
 * A relation file of which only pages that changed since the reference backup are stored: those whose LSN is at or
 * after the reference's start, and those without LSN unless they are, byte for byte, as in the reference. The server sends all
 * of it.
 */
import type { Lsn } from '../../postgres/lsn.ts'
import { PAGE_BYTES, UNIT_BYTES } from '../../repository/format.ts'
import type { ManifestFile } from '../../repository/manifest-entry.ts'
import type { PackReader } from '../../repository/pack-reader.ts'
import { SliceReader } from '../../repository/slice-reader.ts'
import type { UnitResult } from '../../repository/unit-job.ts'
import type { UnitPacker } from '../../repository/unit-packer.ts'
import type { FileIntake } from './file-intake.ts'
import type { FileRecord } from './file-record.ts'
import type { EmptiedPacks } from './emptied-packs.ts'
import type { PageWindow } from './page-window.ts'

/** What the file is compared with, and where its bytes go. */
export interface PageLsnContext {
  readonly window: PageWindow
  readonly packer: UnitPacker
  readonly record: FileRecord
  /** The same file in the reference backup. */
  readonly reference: ManifestFile
  /** Pages from there are stored anew, changed or not. */
  readonly emptied: EmptiedPacks
  /** Reads pages of the reference. */
  readonly packs: PackReader
  /** Whether a page with an older LSN is as in the reference; otherwise its bytes decide. */
  readonly trustsLsn: boolean
  /** Start of the reference backup. */
  readonly changedSince: Lsn
  /** Pages changed at or after this backup's start are not judged. */
  readonly limitLsn: Lsn
  /** Of the file's first page in its relation. */
  readonly firstBlock: number
  readonly checksums: boolean
  readonly sizeBytes: number
}

interface ExaminedWindow {
  readonly bytes: Buffer
  /** Of the window's first byte in the file. */
  readonly fileOffset: number
  readonly result: UnitResult
}

/** A page that is stored, surely or unless it is as in the reference. */
interface Suspect {
  /** From the window's start. */
  readonly from: number
  readonly isSure: boolean
  /** Whether its LSN says that it changed. */
  readonly isMarked: boolean
}

/** Examines window after window. */
export class PageLsnIntake implements FileIntake {
  readonly #context: PageLsnContext
  /** The file as it is in the reference. */
  readonly #before: SliceReader
  #fill = 0
  /** Of the window's first byte in the file. */
  #position = 0

  constructor(context: PageLsnContext) {
    this.#context = context
    this.#before = new SliceReader(context.reference, context.packs)
  }

  data(chunk: Uint8Array): void | Promise<void> {
    const { bytes } = this.#context.window
    let rest = chunk
    while (rest.byteLength > 0) {
      const part = rest.subarray(0, UNIT_BYTES - this.#fill)
      bytes.set(part, this.#fill)
      this.#fill += part.byteLength
      rest = rest.subarray(part.byteLength)
      if (this.#fill < UNIT_BYTES) return
      const settled = this.#settle()
      if (settled !== undefined) return this.#continue(settled, rest)
    }
  }

  end(): void | Promise<void> {
    const settled = this.#settle()
    if (settled !== undefined) return this.#endAfter(settled)
    this.#recordEnd()
  }

  async #endAfter(settled: Promise<void>): Promise<void> {
    await settled
    this.#recordEnd()
  }

  #recordEnd(): void {
    const { record, reference, sizeBytes } = this.#context
    record.end({
      sizeBytes,
      reference: { extents: reference.extents, endBytes: reference.sizeBytes },
    })
  }

  async #continue(settled: Promise<void>, rest: Uint8Array): Promise<void> {
    await settled
    await this.data(rest)
  }

  /** Stores what must be stored of the window and empties it. A promise only when something is stored or read. */
  #settle(): void | Promise<void> {
    const length = this.#fill
    if (length === 0) return
    const result = this.#examine(length)
    const bytes = this.#context.window.bytes.subarray(0, length)
    const fileOffset = this.#position
    this.#fill = 0
    this.#position += length
    this.#context.record.expect()
    const pages = this.#suspects(bytes, fileOffset, result)
    if (pages.length === 0) return this.#examined(fileOffset, length, result)
    return this.#settlePages({ bytes, fileOffset, result }, pages)
  }

  #examine(length: number): UnitResult {
    const { window, firstBlock, checksums, changedSince, limitLsn } = this.#context
    const pageCount = Math.floor(length / PAGE_BYTES)
    const run = { offset: 0, pageCount, firstBlock: firstBlock + this.#position / PAGE_BYTES }
    return window.examine({
      rawBytes: length,
      pages: checksums ? [run] : [],
      limitLsn,
      crcs: [{ offset: 0, length }],
      changedSince,
    })
  }

  #examined(fileOffset: number, length: number, result: UnitResult): void {
    const stretch = { fileOffset, length, crc32c: result.crcs[0] ?? 0 }
    this.#context.record.examined(stretch, result.badBlocks[0] ?? [])
  }

  async #settlePages(examined: ExaminedWindow, pages: readonly Suspect[]): Promise<void> {
    const { bytes, fileOffset, result } = examined
    for (const { from, to } of await this.#storedRuns(bytes, fileOffset, pages)) {
      await this.#store(bytes.subarray(from, to), fileOffset + from)
    }
    this.#examined(fileOffset, bytes.length, result)
  }

  /** Pages that are stored, or may be. */
  #suspects(bytes: Buffer, fileOffset: number, result: UnitResult): Suspect[] {
    const firstBlock = this.#context.firstBlock + fileOffset / PAGE_BYTES
    const bad = new Set(result.badBlocks[0]?.map((block) => block - firstBlock))
    const suspects: Suspect[] = []
    for (let page = 0; page * PAGE_BYTES < bytes.length; page += 1) {
      const from = page * PAGE_BYTES
      const content = bytes.subarray(from, from + PAGE_BYTES)
      const isMarked = isBitSet(result.changed, page)
      if (bad.has(page)) suspects.push({ from, isSure: true, isMarked })
      else if (isMarked) suspects.push({ from, isSure: false, isMarked })
      else if (this.#mustMove(content, fileOffset + from)) {
        suspects.push({ from, isSure: true, isMarked })
      } else if (!this.#context.trustsLsn) suspects.push({ from, isSure: false, isMarked })
    }
    return suspects
  }

  /** Stretches of the window that must be stored, neighbours joined. */
  async #storedRuns(
    bytes: Buffer,
    fileOffset: number,
    suspects: readonly Suspect[],
  ): Promise<{ from: number; to: number }[]> {
    const runs: { from: number; to: number }[] = []
    for (const { from, isSure, isMarked } of suspects) {
      const content = bytes.subarray(from, from + PAGE_BYTES)
      if (!isSure && !(await this.#differs(content, fileOffset + from, isMarked))) continue
      const last = runs.at(-1)
      if (last?.to === from) last.to = from + content.length
      else runs.push({ from, to: from + content.length })
    }
    return runs
  }

  /**
   * Pages without LSN are marked as changed, but most were only never logged; pages that are not marked may differ in hint
   * bits: the reference's bytes decide.
   */
  async #differs(content: Buffer, fileOffset: number, isMarked: boolean): Promise<boolean> {
    const { reference } = this.#context
    if (content.length < PAGE_BYTES || (isMarked && content.readBigUInt64LE(0) !== 0n)) return true
    if (fileOffset + PAGE_BYTES > reference.sizeBytes) return true
    const before = await this.#before.read(fileOffset, PAGE_BYTES)
    return !content.equals(before) || this.#mustMove(content, fileOffset)
  }

  /** What the reference does not have as a whole page, or has in a pack that is to be emptied. */
  #mustMove(content: Buffer, fileOffset: number): boolean {
    const { reference, emptied } = this.#context
    const end = fileOffset + PAGE_BYTES
    if (content.length < PAGE_BYTES || end > reference.sizeBytes) return true
    return emptied.takes(reference, fileOffset)
  }

  async #store(bytes: Uint8Array, fileOffset: number): Promise<void> {
    const { packer, record } = this.#context
    let position = 0
    while (position < bytes.byteLength) {
      record.expect()
      const room = await packer.openPiece({
        owner: record,
        fileOffset: fileOffset + position,
        wantedBytes: bytes.byteLength - position,
        firstBlock: undefined,
        paged: true,
      })
      packer.write(bytes.subarray(position, position + room))
      position += room
    }
  }
}

function isBitSet(bitmap: Uint8Array | undefined, page: number): boolean {
  return bitmap === undefined || ((bitmap[page >> 3] ?? 0) & (1 << (page & 7))) !== 0
}
