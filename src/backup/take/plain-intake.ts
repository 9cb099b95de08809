/**
 * A file that is stored whole.
 */
import { PAGE_BYTES } from '../../repository/format.ts'
import type { UnitPacker } from '../../repository/unit-packer.ts'
import type { FileIntake } from './file-intake.ts'
import type { FileRecord } from './file-record.ts'

/** What the content is. */
export interface PlainContent {
  /** Undefined: not known before its end. */
  readonly sizeBytes: number | undefined
  /** Whether it consists of pages, to be kept whole. */
  readonly paged: boolean
  /** Number of the first block when the pages' checksums are to be judged. */
  readonly firstBlock: number | undefined
}

/** Puts all bytes into units. */
export class PlainIntake implements FileIntake {
  readonly #packer: UnitPacker
  readonly #record: FileRecord
  readonly #content: PlainContent
  #position = 0
  /** Bytes that still fit into the open piece. */
  #room = 0

  constructor(packer: UnitPacker, record: FileRecord, content: PlainContent) {
    this.#packer = packer
    this.#record = record
    this.#content = content
  }

  data(chunk: Uint8Array): void | Promise<void> {
    let rest = chunk
    while (rest.byteLength > 0) {
      if (this.#room === 0) {
        const opened = this.#open(rest.byteLength)
        if (typeof opened !== 'number') return this.#continue(opened, rest)
        this.#room = opened
      }
      rest = this.#write(rest)
    }
  }

  end(): void {
    this.#record.end({ sizeBytes: this.#position, reference: undefined })
  }

  async #continue(opened: Promise<number>, rest: Uint8Array): Promise<void> {
    this.#room = await opened
    await this.data(rest)
  }

  #open(available: number): number | Promise<number> {
    const { sizeBytes, firstBlock, paged } = this.#content
    this.#record.expect()
    return this.#packer.openPiece({
      owner: this.#record,
      fileOffset: this.#position,
      wantedBytes: sizeBytes === undefined ? available : sizeBytes - this.#position,
      firstBlock: firstBlock === undefined ? undefined : firstBlock + this.#position / PAGE_BYTES,
      paged,
    })
  }

  /** Writes what fits; returns the rest. */
  #write(bytes: Uint8Array): Uint8Array {
    const part = bytes.subarray(0, this.#room)
    this.#packer.write(part)
    this.#position += part.byteLength
    this.#room -= part.byteLength
    return bytes.subarray(part.byteLength)
  }
}
