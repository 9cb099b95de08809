/**
 * One file while it is received: collects its pieces and says when all of them lie in packs.
 */
import { combineCrc32c } from '../../repository/crc32c-combine.ts'
import type { Extent, ManifestFile } from '../../repository/manifest-entry.ts'
import type { Piece, PieceOwner } from '../../repository/unit-packer.ts'
import { RELATION_SEGMENT_BLOCKS } from '../../postgres/relation-path.ts'
import { overlayExtents } from './overlay.ts'

/** What is known of a file before its bytes. */
export interface FileFacts {
  readonly path: string
  readonly mode: number
  readonly modifiedAtMs: number
}

/** A finished file and what was found in it. */
export interface RecordedFile {
  readonly file: ManifestFile
  /** Blocks with a wrong checksum, numbered within this file. */
  readonly badBlocks: readonly number[]
}

/** How a file ends. */
export interface FileEnd {
  readonly sizeBytes: number
  /** Undefined: the pieces are the whole file, so the CRC follows from theirs. */
  readonly reference: { readonly extents: readonly Extent[]; readonly endBytes: number } | undefined
}

/** A stretch whose CRC and checksums were judged before it was known what of it is stored. */
interface Examined {
  readonly fileOffset: number
  readonly length: number
  readonly crc32c: number
}

/** Calls `done` once, when the file has ended and nothing of it is under way any more. */
export class FileRecord implements PieceOwner {
  readonly facts: FileFacts
  readonly #done: (recorded: RecordedFile) => void
  readonly #pieces: Piece[] = []
  readonly #examined: Examined[] = []
  readonly #badBlocks: number[] = []
  #underWay = 0
  #end: FileEnd | undefined

  constructor(facts: FileFacts, done: (recorded: RecordedFile) => void) {
    this.facts = facts
    this.#done = done
  }

  /** One more piece or examination will come. */
  expect(): void {
    this.#underWay += 1
  }

  placed(piece: Piece): void {
    this.#pieces.push(piece)
    this.#addBad(piece.badBlocks)
    this.#settleOne()
  }

  /** A stretch was judged as a whole; its changed pages come as pieces of their own, already expected. */
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
    const fresh = this.#pieces.sort((a, b) => a.fileOffset - b.fileOffset)
    const extents = overlayExtents({
      sizeBytes: end.sizeBytes,
      fresh,
      reference: end.reference?.extents ?? [],
      referenceEnd: end.reference?.endBytes ?? 0,
    })
    const crc32c = this.#crcOf(end)
    const file = { kind: 'file', ...this.facts, sizeBytes: end.sizeBytes, crc32c, extents } as const
    this.#done({ file, badBlocks: [...new Set(this.#badBlocks)].sort((a, b) => a - b) })
  }

  /** Known when all bytes came from the server: as examined stretches, or as pieces. */
  #crcOf(end: FileEnd): number | undefined {
    const parts = this.#examined.length > 0 ? this.#examined : this.#pieces
    const sorted = [...parts].sort((a, b) => a.fileOffset - b.fileOffset)
    let covered = 0
    let crc = 0
    for (const part of sorted) {
      if (part.fileOffset !== covered) return undefined
      crc = covered === 0 ? part.crc32c : combineCrc32c(crc, part.crc32c, part.length)
      covered += part.length
    }
    return covered === end.sizeBytes ? crc : undefined
  }
}
