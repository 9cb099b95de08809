/**
 * A relation file of which the server sends only changed blocks (17+): a head that lists them, then
 * their pages. Everything else of the file is as in the reference backup.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { parseRelationPath } from '../../postgres/relation-path.ts'
import { PAGE_BYTES } from '../../repository/format.ts'
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
import type { ReferenceFile } from './reference-files.ts'
import type { RelationLimit } from './relation-limits.ts'
import type { PageMend, VisibilityMaps } from './visibility-maps.ts'

/** What the file builds on, and where its pages go. */
export interface IncrementalContext {
  readonly packer: UnitPacker
  readonly record: FileRecord
  /** The same file in the reference backup. */
  readonly reference: ReferenceFile
  readonly emptied: EmptiedPacks
  /** Reads what is stored anew only to empty packs. */
  readonly packs: PackReader
  /** Of the file's first page in its relation. */
  readonly firstBlock: number
  readonly checksums: boolean
  /** Told which blocks changed, and asked what becomes of a map's pages. */
  readonly maps: VisibilityMaps
  /** To where the relation's main fork was cut since the reference. */
  readonly limit: RelationLimit | undefined
}

/** Pages that follow each other in the file and in the stream. */
interface Run {
  readonly firstBlock: number
  readonly pageCount: number
}

/** What of the reference is taken over: what is not sent, before `endBytes`. */
interface KeptPages {
  readonly header: IncrementalHeader
  readonly endBytes: number
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
    const { record, reference, maps } = this.#context
    const header = this.#header
    if (header === undefined) throw this.#invalid('it ends in its head')
    if (this.#runIndex < this.#runs.length || this.#room > 0)
      throw this.#invalid('pages are missing')
    const { file, pageCrcs } = reference
    // What is left of a page of which only a part was there is not known: the server will have to
    // send all of the file.
    if (file.sizeBytes % PAGE_BYTES !== 0) throw this.#incomplete()
    const keptBlocks = Math.min(header.truncationBlocks, this.#limitInFile())
    const endBytes = Math.min(keptBlocks * PAGE_BYTES, file.sizeBytes)
    maps.changed.add(record.facts.path, header)
    const close = async (mend?: PageMend): Promise<void> => {
      await this.#storeAnew({ header, endBytes }, mend)
      record.end({
        sizeBytes: header.fileBlocks * PAGE_BYTES,
        reference: { extents: file.extents, endBytes, pageCrcs },
      })
    }
    const limitBlock = this.#context.limit?.block
    if (!maps.defer(record.facts.path, { limitBlock, close })) await close()
  }

  /** From which block on nothing of the reference is taken over. */
  #limitInFile(): number {
    const { firstBlock } = this.#context
    const limit = this.#ownLimit()
    return limit === undefined ? Infinity : Math.max(0, limit.block - firstBlock)
  }

  /** Undefined for a file of another fork. */
  #ownLimit(): RelationLimit | undefined {
    const { limit, record } = this.#context
    return parseRelationPath(record.facts.path)?.fork === 'main' ? limit : undefined
  }

  /** The server may forget what was written behind a cut. */
  #requireWritten({ blocks, truncationBlocks }: IncrementalHeader): void {
    const { firstBlock } = this.#context
    const sent = new Set(blocks)
    for (const inFork of this.#ownLimit()?.writtenBlocks ?? []) {
      const block = inFork - firstBlock
      if (block < 0 || block >= truncationBlocks || sent.has(block)) continue
      throw this.#invalid(
        `the server left out block ${block}, which was written after the relation was cut`,
      )
    }
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
    this.#requireWritten(this.#header)
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

  /**
   * Stores pages of the reference that cannot stay as they are, and what is needed of packs that
   * are to be emptied.
   */
  async #storeAnew({ header, endBytes }: KeptPages, mend: PageMend | undefined): Promise<void> {
    const { emptied, packs, firstBlock } = this.#context
    const reference = this.#context.reference.file
    const sent = new Set(header.blocks)
    const slices = new SliceReader(reference, packs)
    for (let offset = 0; offset < endBytes; offset += PAGE_BYTES) {
      const block = offset / PAGE_BYTES
      if (sent.has(block)) continue
      const isEmptied = emptied.takes(reference, offset)
      if (!isEmptied && mend === undefined) continue
      const page = await slices.read(offset, PAGE_BYTES)
      const mended = mend?.(page, firstBlock + block)
      if (isEmptied || mended !== undefined) await this.#store(offset, mended ?? page)
    }
  }

  async #store(fileOffset: number, page: Buffer): Promise<void> {
    const { record, packer } = this.#context
    record.expect()
    await packer.openPiece({
      owner: record,
      fileOffset,
      wantedBytes: PAGE_BYTES,
      firstBlock: undefined,
      paged: true,
    })
    packer.write(page)
  }

  #incomplete(): BackstayError {
    const { path } = this.#context.record.facts
    return new BackstayError(
      'REPOSITORY_DAMAGED',
      `Cannot build on "${path}" of the reference backup: its last page is not whole`,
    )
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
