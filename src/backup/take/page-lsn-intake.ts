/**
 * A relation file of which only pages that changed since the reference backup are stored: those
 * whose LSN is at or after the reference's start, and those that have another CRC there. The LSN
 * alone proves nothing: hint bits, tools that work on a stopped server and copies of files change
 * pages without it. All of the file comes in: the server sends it, or it is read here.
 */
import type { Lsn } from '../../postgres/lsn.ts'
import { PAGE_BYTES, UNIT_BYTES } from '../../repository/format.ts'
import type { SlotRead, UnitResult } from '../../repository/unit-job.ts'
import type { UnitPacker } from '../../repository/unit-packer.ts'
import type { FileIntake } from './file-intake.ts'
import type { FileRecord } from './file-record.ts'
import type { EmptiedPacks } from './emptied-packs.ts'
import type { PageWindow } from './page-window.ts'
import type { ReferenceFile } from './reference-files.ts'

/** What the file is compared with, and where its bytes go. */
export interface PageLsnContext {
  readonly window: PageWindow
  readonly packer: UnitPacker
  readonly record: FileRecord
  /** The same file in the reference backup. */
  readonly reference: ReferenceFile
  /** Pages from there are stored anew, changed or not. */
  readonly emptied: EmptiedPacks
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

/** Stretch of the window that is stored. */
interface StoredRun {
  readonly from: number
  to: number
}

/** Examines window after window. */
export class PageLsnIntake implements FileIntake {
  readonly #context: PageLsnContext
  #fill = 0
  /** What of the window is still to be read. */
  #reads: readonly SlotRead[] = []
  /** Of the window's first byte in the file. */
  #position = 0

  constructor(context: PageLsnContext) {
    this.#context = context
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

  /** Reads all of the file instead of being given it. Blocks the thread for a window at a time. */
  async read(descriptor: number, pace?: (bytes: number) => Promise<void>): Promise<void> {
    const { record, sizeBytes } = this.#context
    while (this.#position < sizeBytes) {
      const length = Math.min(UNIT_BYTES, sizeBytes - this.#position)
      const { path } = record.facts
      this.#reads = [{ path, descriptor, position: this.#position, offset: 0, length }]
      this.#fill = length
      await this.#settle()
      await pace?.(length)
    }
    this.#recordEnd()
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
    const { file, pageCrcs } = reference
    // A page that is not whole there is stored anew.
    const endBytes = file.sizeBytes - (file.sizeBytes % PAGE_BYTES)
    record.end({ sizeBytes, reference: { extents: file.extents, endBytes, pageCrcs } })
  }

  async #continue(settled: Promise<void>, rest: Uint8Array): Promise<void> {
    await settled
    await this.data(rest)
  }

  /**
   * Stores what must be stored of the window and empties it. A promise only when something is
   * stored or read.
   */
  #settle(): void | Promise<void> {
    const length = this.#fill
    if (length === 0) return
    const result = this.#examine(length)
    const bytes = this.#context.window.bytes.subarray(0, length)
    const fileOffset = this.#position
    this.#fill = 0
    this.#position += length
    this.#context.record.expect()
    const window = { bytes, fileOffset, result }
    const runs = this.#storedRuns(window)
    if (runs.length === 0) return this.#examined(fileOffset, length, result)
    return this.#settleRuns(window, runs)
  }

  #examine(length: number): UnitResult {
    const { window, firstBlock, checksums, changedSince, limitLsn } = this.#context
    const pageCount = Math.floor(length / PAGE_BYTES)
    const run = { offset: 0, pageCount, firstBlock: firstBlock + this.#position / PAGE_BYTES }
    return window.examine({
      rawBytes: length,
      reads: this.#reads,
      pages: checksums ? [run] : [],
      limitLsn,
      crcs: [{ offset: 0, length, paged: true }],
      changedSince,
    })
  }

  #examined(fileOffset: number, length: number, result: UnitResult): void {
    const stretch = { fileOffset, length, crc32c: result.crcs[0] ?? 0 }
    this.#context.record.examined(stretch, result.badBlocks[0] ?? [])
  }

  async #settleRuns(window: ExaminedWindow, runs: readonly StoredRun[]): Promise<void> {
    const { bytes, fileOffset, result } = window
    for (const { from, to } of runs) {
      await this.#store(bytes.subarray(from, to), fileOffset + from)
    }
    this.#examined(fileOffset, bytes.length, result)
  }

  /** Stretches of the window that must be stored, neighbours joined. */
  #storedRuns(window: ExaminedWindow): StoredRun[] {
    const { bytes, fileOffset, result } = window
    const firstBlock = this.#context.firstBlock + fileOffset / PAGE_BYTES
    const bad = new Set(result.badBlocks[0]?.map((block) => block - firstBlock))
    const runs: StoredRun[] = []
    for (let page = 0; page * PAGE_BYTES < bytes.length; page += 1) {
      if (!bad.has(page) && !this.#isStored(window, page)) continue
      const from = page * PAGE_BYTES
      const to = Math.min(from + PAGE_BYTES, bytes.length)
      const last = runs.at(-1)
      if (last?.to === from) last.to = to
      else runs.push({ from, to })
    }
    return runs
  }

  /**
   * What is not whole in the reference, says that it changed, has other bytes there, or lies in a
   * pack that is to be emptied.
   */
  #isStored({ bytes, fileOffset, result }: ExaminedWindow, page: number): boolean {
    const { reference, emptied } = this.#context
    const from = page * PAGE_BYTES
    const end = from + PAGE_BYTES
    if (end > bytes.length || fileOffset + end > reference.file.sizeBytes) return true
    // Pages without LSN are marked as changed, but most were only never logged.
    if (isBitSet(result.changed, page) && bytes.readBigUInt64LE(from) !== 0n) return true
    const before = reference.pageCrcs[(fileOffset + from) / PAGE_BYTES]
    if (result.pageCrcs[0]?.[page] !== before) return true
    return emptied.takes(reference.file, fileOffset + from)
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
