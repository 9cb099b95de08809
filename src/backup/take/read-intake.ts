/**
 * A file that is stored whole and read by the workers themselves, where the server has it.
 */
import { PAGE_BYTES } from '../../repository/format.ts'
import type { UnitPacker } from '../../repository/unit-packer.ts'
import type { FileRecord } from './file-record.ts'

/** A file that is read, and what it consists of. */
export interface ReadContent {
  readonly descriptor: number
  readonly sizeBytes: number
  /** Whether it consists of pages, to be kept whole. */
  readonly paged: boolean
  /** Number of the first block when the pages' checksums are to be judged. */
  readonly firstBlock: number | undefined
  readonly pace: ((bytes: number) => Promise<void>) | undefined
}

/** Puts a file into units, however long it is by now: as many bytes as it was announced with. */
export async function readWhole(
  packer: UnitPacker,
  record: FileRecord,
  { descriptor, sizeBytes, paged, firstBlock, pace }: ReadContent,
): Promise<void> {
  for (let position = 0; position < sizeBytes;) {
    record.expect()
    const room = await packer.openPiece({
      owner: record,
      fileOffset: position,
      wantedBytes: sizeBytes - position,
      firstBlock: firstBlock === undefined ? undefined : firstBlock + position / PAGE_BYTES,
      paged,
    })
    packer.read({ path: record.facts.path, descriptor, position }, room)
    position += room
    await pace?.(room)
  }
  record.end({ sizeBytes, reference: undefined })
}
