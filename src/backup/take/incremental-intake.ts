/**
 * A relation file of which the server sends only changed blocks (17+): a head that lists them, then their pages.
 * Everything else of the file is as in the reference backup.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { PAGE_BYTES } from '../../repository/format.ts'
import type { ManifestFile } from '../../repository/manifest-entry.ts'
import { SliceReader } from '../../repository/slice-reader.ts'
import type { PackReader } from '../../repository/pack-reader.ts'
import type { UnitPacker } from '../../repository/unit-packer.ts'
import type { EmptiedPacks } from './emptied-packs.ts'
import type { FileIntake } from './file-intake.ts'
import type { FileRecord } from './file-record.ts'
import {
  type IncrementalHeader,
  missingHeaderBytes,
  parseIncrementalHeader,
} from './incremental-header.ts'

/** What the file builds on, and where its pages go. */
export interface IncrementalContext {
  readonly packer: UnitPacker
  readonly record: FileRecord
  /** The same file in the reference backup. */
  readonly reference: ManifestFile
  readonly emptied: EmptiedPacks
  /** Reads what is stored anew only to empty packs. */
  readonly packs: PackReader
  /** Of the file's first page in its relation. */
  readonly firstBlock: number
  readonly checksums: boolean
}

/** Pages that follow each other in the file and in the stream. */
interface Run {
  readonly firstBlock: number
  readonly pageCount: number
}

/** Reads the head, then puts page after page into units. */
export class IncrementalIntake implements FileIntake {
  readonly #context: IncrementalContext
  #head = Buffer.alloc(0)
  #header: IncrementalHeader | undefined
  #runs: Run[] = []
  #runIndex = 0
  /** Pages of the current run already given a piece. */
  #runPages = 0
  /** Bytes that still fit into the open piece. */
  #room = 0

  constructor(context: IncrementalContext) {
    this.#context = context
  }

  data(chunk: Uint8Array): void | Promise<void> {
    let rest = this.#header === undefined ? this.#takeHead(chunk) : chunk
    while (rest.byteLength > 0) {
      if (this.#room === 0) {
        const opened = this.#open()
        if (typeof opened !== 'number') return this.#continue(opened, rest)
        this.#opened(opened)
      }
      const part = rest.subarray(0, this.#room)
      this.#context.packer.write(part)
      this.#room -= part.byteLength
      rest = rest.subarray(part.byteLength)
    }
  }

  async end(): Promise<void> {
    const { record, reference } = this.#context
    const header = this.#header
    if (header === undefined) throw this.#invalid('it ends in its head')
    if (this.#runIndex < this.#runs.length || this.#room > 0)
      throw this.#invalid('pages are missing')
    const endBytes = Math.min(header.truncationBlocks * PAGE_BYTES, reference.sizeBytes)
    await this.#emptyPacks(header, endBytes)
    record.end({
      sizeBytes: header.fileBlocks * PAGE_BYTES,
      reference: { extents: reference.extents, endBytes },
    })
  }

  /** Collects the head; returns what of `chunk` lies behind it. */
  #takeHead(chunk: Uint8Array): Uint8Array {
    const { path } = this.#context.record.facts
    let rest = chunk
    for (;;) {
      const needed = missingHeaderBytes(this.#head, path)
      if (needed === undefined) break
      const part = rest.subarray(0, needed - this.#head.length)
      if (part.byteLength === 0) return rest
      this.#head = Buffer.concat([this.#head, part])
      rest = rest.subarray(part.byteLength)
    }
    this.#header = parseIncrementalHeader(this.#head, path)
    this.#runs = runsOf(this.#header.blocks)
    this.#head = Buffer.alloc(0)
    return rest
  }

  async #continue(opened: Promise<number>, rest: Uint8Array): Promise<void> {
    this.#opened(await opened)
    await this.data(rest)
  }

  #open(): number | Promise<number> {
    const { packer, record, firstBlock, checksums } = this.#context
    const run = this.#runs[this.#runIndex]
    if (run === undefined) throw this.#invalid('there are more pages than it announces')
    const block = run.firstBlock + this.#runPages
    record.expect()
    return packer.openPiece({
      owner: record,
      fileOffset: block * PAGE_BYTES,
      wantedBytes: (run.pageCount - this.#runPages) * PAGE_BYTES,
      firstBlock: checksums ? firstBlock + block : undefined,
      paged: true,
    })
  }

  #opened(room: number): void {
    this.#room = room
    this.#runPages += room / PAGE_BYTES
    if (this.#runPages < (this.#runs[this.#runIndex]?.pageCount ?? 0)) return
    this.#runIndex += 1
    this.#runPages = 0
  }

  /** Copies what is needed out of packs that are to be emptied. */
  async #emptyPacks(header: IncrementalHeader, endBytes: number): Promise<void> {
    const { reference, emptied, packs, record, packer } = this.#context
    const sent = new Set(header.blocks)
    const slices = new SliceReader(reference, packs)
    for (let offset = 0; offset < endBytes; offset += PAGE_BYTES) {
      if (sent.has(offset / PAGE_BYTES) || !emptied.takes(reference, offset)) continue
      const page = await slices.read(offset, PAGE_BYTES)
      record.expect()
      await packer.openPiece({
        owner: record,
        fileOffset: offset,
        wantedBytes: PAGE_BYTES,
        firstBlock: undefined,
        paged: true,
      })
      packer.write(page)
    }
  }

  #invalid(why: string): BackstayError {
    const { path } = this.#context.record.facts
    return new BackstayError('POSTGRES_PROTOCOL', `Cannot read incremental file "${path}": ${why}`)
  }
}

/** Joins neighbouring blocks. */
function runsOf(blocks: Uint32Array): Run[] {
  const runs: { firstBlock: number; pageCount: number }[] = []
  for (const block of blocks) {
    const last = runs.at(-1)
    if (last !== undefined && last.firstBlock + last.pageCount === block) last.pageCount += 1
    else runs.push({ firstBlock: block, pageCount: 1 })
  }
  return runs
}
