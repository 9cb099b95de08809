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
import type { Window, WindowQueue } from './window-queue.ts'

/** What the file is compared with, and where its bytes go. */
export interface PageLsnContext {
  readonly windows: WindowQueue
  readonly packer: UnitPacker
  readonly record: FileRecord
  /** The same file in the reference backup. */
  readonly reference: ManifestFile
  /** Pages from there are stored anew, changed or not. */
  readonly emptied: EmptiedPacks
  /** Reads pages of the reference. */
  readonly packs: PackReader
  /** Start of the reference backup. */
  readonly changedSince: Lsn
  /** Pages changed at or after this backup's start are not judged. */
  readonly limitLsn: Lsn
  /** Of the file's first page in its relation. */
  readonly firstBlock: number
  readonly checksums: boolean
  readonly sizeBytes: number
}

/** Sends window after window to the workers. */
export class PageLsnIntake implements FileIntake {
  readonly #context: PageLsnContext
  /** The file as it is in the reference. */
  readonly #before: SliceReader
  #window: Window | undefined
  #fill = 0
  /** Of the window's first byte in the file. */
  #position = 0

  constructor(context: PageLsnContext) {
    this.#context = context
    this.#before = new SliceReader(context.reference, context.packs)
  }

  data(chunk: Uint8Array): void | Promise<void> {
    let rest = chunk
    while (rest.byteLength > 0) {
      if (this.#window === undefined) return this.#continue(rest)
      const part = rest.subarray(0, UNIT_BYTES - this.#fill)
      this.#window.bytes.set(part, this.#fill)
      this.#fill += part.byteLength
      rest = rest.subarray(part.byteLength)
      if (this.#fill === UNIT_BYTES) this.#submit()
    }
  }

  end(): void {
    const { record, reference, sizeBytes } = this.#context
    this.#submit()
    record.end({
      sizeBytes,
      reference: { extents: reference.extents, endBytes: reference.sizeBytes },
    })
  }

  async #continue(rest: Uint8Array): Promise<void> {
    this.#window = await this.#context.windows.take()
    await this.data(rest)
  }

  #submit(): void {
    const window = this.#window
    const length = this.#fill
    if (window === undefined) return
    const { windows, record, firstBlock, checksums, changedSince, limitLsn } = this.#context
    const fileOffset = this.#position
    const pageCount = Math.floor(length / PAGE_BYTES)
    const run = { offset: 0, pageCount, firstBlock: firstBlock + fileOffset / PAGE_BYTES }
    this.#window = undefined
    this.#fill = 0
    this.#position += length
    record.expect()
    windows.submit(
      window,
      {
        rawBytes: length,
        pages: checksums ? [run] : [],
        limitLsn,
        crcs: [{ offset: 0, length }],
        changedSince,
      },
      (examined, result) => this.#settle(examined.bytes.subarray(0, length), fileOffset, result),
    )
  }

  async #settle(bytes: Buffer, fileOffset: number, result: UnitResult): Promise<void> {
    for (const { from, to } of await this.#storedRuns(bytes, fileOffset, result)) {
      await this.#store(bytes.subarray(from, to), fileOffset + from)
    }
    this.#context.record.examined(
      { fileOffset, length: bytes.length, crc32c: result.crcs[0] ?? 0 },
      result.badBlocks[0] ?? [],
    )
  }

  /** Stretches of the window that must be stored, neighbours joined. */
  async #storedRuns(
    bytes: Buffer,
    fileOffset: number,
    result: UnitResult,
  ): Promise<{ from: number; to: number }[]> {
    const firstBlock = this.#context.firstBlock + fileOffset / PAGE_BYTES
    const bad = new Set(result.badBlocks[0]?.map((block) => block - firstBlock))
    const runs: { from: number; to: number }[] = []
    for (let page = 0; page * PAGE_BYTES < bytes.length; page += 1) {
      const from = page * PAGE_BYTES
      const content = bytes.subarray(from, from + PAGE_BYTES)
      const isMarked = bad.has(page) || isBitSet(result.changed, page)
      const isStored = isMarked
        ? bad.has(page) || (await this.#differs(content, fileOffset + from))
        : this.#mustMove(content, fileOffset + from)
      if (!isStored) continue
      const last = runs.at(-1)
      if (last?.to === from) last.to = from + content.length
      else runs.push({ from, to: from + content.length })
    }
    return runs
  }

  /** Pages without LSN are marked as changed, but most were only never logged: the reference's bytes decide. */
  async #differs(content: Buffer, fileOffset: number): Promise<boolean> {
    const { reference } = this.#context
    if (content.length < PAGE_BYTES || content.readBigUInt64LE(0) !== 0n) return true
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
