/**
 * One file while it is received: collects its pieces and says when all of them lie in packs.
 */
import { combineCrc32c } from '../../repository/crc32c-combine.ts'
import type { Extent, ManifestFile } from '../../repository/manifest-entry.ts'
import type { UnitPiece, PieceOwner } from '../../repository/unit-packer.ts'
import { firstBlockOfPath, RELATION_SEGMENT_BLOCKS } from '../../postgres/relation-path.ts'
import { PAGE_BYTES } from '../../repository/format.ts'
import { joinPageCrcs, pageCountOf, pageCrcsOf } from '../../repository/page-crcs.ts'
import { overlayExtents } from './overlay.ts'

/** What is known of a file before its bytes. */
export interface FileHead {
  readonly path: string
  readonly mode: number
  readonly modifiedAtMs: number
}

/** A finished file and what was found in it. */
export interface RecordedFile {
  readonly file: ManifestFile
  /** Of the pages of a relation's file, as they would be restored; undefined for other files. */
  readonly pageCrcs: Uint32Array | undefined
  /** Why what would be restored is not what was received; undefined when it is. */
  readonly problem: string | undefined
  /** Blocks with a wrong checksum, numbered within this file. */
  readonly badBlocks: readonly number[]
}

/** How a file ends. */
export interface FileEnd {
  readonly sizeBytes: number
  /** Undefined: the pieces are the whole file, so the CRC follows from theirs. */
  readonly reference:
    | {
        readonly extents: readonly Extent[]
        readonly endBytes: number
        /** Of its pages up to `endBytes`, which is the end of a page. */
        readonly pageCrcs: Uint32Array
      }
    | undefined
}

/** A stretch whose CRC and checksums were judged before it was known what of it is stored. */
interface Examined {
  readonly fileOffset: number
  readonly length: number
  readonly crc32c: number
}

/** Calls `done` once, when the file has ended and nothing of it is under way any more. */
export class FileRecord implements PieceOwner {
  readonly facts: FileHead
  readonly #done: (recorded: RecordedFile) => void
  readonly #pieces: UnitPiece[] = []
  readonly #examined: Examined[] = []
  readonly #badBlocks: number[] = []
  #underWay = 0
  #end: FileEnd | undefined

  readonly #onPlaced: ((path: string, piece: UnitPiece) => void) | undefined

  /** `onPlaced`: told of each piece that lies in a pack. */
  constructor(
    facts: FileHead,
    done: (recorded: RecordedFile) => void,
    onPlaced?: (path: string, piece: UnitPiece) => void,
  ) {
    this.facts = facts
    this.#done = done
    this.#onPlaced = onPlaced
  }

  /** One more piece or examination will come. */
  expect(): void {
    this.#underWay += 1
  }

  placed(piece: UnitPiece): void {
    this.#pieces.push(piece)
    this.#onPlaced?.(this.facts.path, piece)
    this.#addBad(piece.badBlocks)
    this.#settleOne()
  }

  /**
   * A stretch was judged as a whole; its changed pages come as pieces of their own, already
   * expected.
   */
  examined(stretch: Examined, badBlocks: readonly number[]): void {
    this.#examined.push(stretch)
    this.#addBad(badBlocks)
    this.#settleOne()
  }

  /** No more bytes come. */
  end(end: FileEnd): void {
    this.#end = end
    this.#finishIfAll()
  }

  #addBad(blocks: readonly number[]): void {
    for (const block of blocks) this.#badBlocks.push(block % RELATION_SEGMENT_BLOCKS)
  }

  #settleOne(): void {
    this.#underWay -= 1
    this.#finishIfAll()
  }

  #finishIfAll(): void {
    const end = this.#end
    if (end === undefined || this.#underWay > 0) return
    this.#pieces.sort((a, b) => a.fileOffset - b.fileOffset)
    this.#examined.sort((a, b) => a.fileOffset - b.fileOffset)
    const extents = overlayExtents({
      sizeBytes: end.sizeBytes,
      fresh: this.#pieces,
      reference: end.reference?.extents ?? [],
      referenceEnd: end.reference?.endBytes ?? 0,
    })
    const pageCrcs = this.#pageCrcs(end)
    const crc32c = pageCrcs === undefined ? this.#pieceCrc() : joinPageCrcs(pageCrcs, end.sizeBytes)
    this.#done({
      file: { kind: 'file', ...this.facts, sizeBytes: end.sizeBytes, crc32c, extents },
      pageCrcs,
      problem: this.#findProblem(end.sizeBytes, crc32c),
      badBlocks: [...new Set(this.#badBlocks)].sort((a, b) => a - b),
    })
  }

  /**
   * Page by page what the extents hold: the reference's, zeros where there is nothing, and the
   * pieces laid over them.
   */
  #pageCrcs({ sizeBytes, reference }: FileEnd): Uint32Array | undefined {
    const isPaged = reference !== undefined || firstBlockOfPath(this.facts.path) !== undefined
    if (sizeBytes === 0 || !isPaged) return undefined
    const crcs = new Uint32Array(pageCountOf(sizeBytes))
    if (reference !== undefined) {
      const kept = Math.min(sizeBytes, reference.endBytes) / PAGE_BYTES
      crcs.set(reference.pageCrcs.subarray(0, Math.floor(kept)))
      crcs.fill(ZERO_PAGE_CRC, Math.floor(kept))
    }
    for (const { fileOffset, pageCrcs } of this.#pieces) {
      if (pageCrcs !== undefined) crcs.set(pageCrcs, fileOffset / PAGE_BYTES)
    }
    return crcs
  }

  #pieceCrc(): number {
    return this.#pieces.reduce((crc, piece) => combineCrc32c(crc, piece.crc32c, piece.length), 0)
  }

  /** Compares with the CRC of what the server sent, where it sent the whole file. */
  #findProblem(sizeBytes: number, crc32c: number): string | undefined {
    const [first] = this.#examined
    if (first === undefined) return undefined
    let received = 0
    let receivedBytes = 0
    for (const stretch of this.#examined) {
      received = combineCrc32c(received, stretch.crc32c, stretch.length)
      receivedBytes += stretch.length
    }
    if (received === crc32c && receivedBytes === sizeBytes) return undefined
    return `"${this.facts.path}" would not be restored as it was received`
  }
}

/** CRC-32C of a page of zeros. */
export const ZERO_PAGE_CRC = pageCrcsOf(Buffer.alloc(PAGE_BYTES))[0] ?? 0
