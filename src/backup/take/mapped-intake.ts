/**
 * A file of a relation of which only the pages are read that the WAL since the reference names; all
 * else is as it is there. The workers read.
 */
import type { BlockRun } from '../../postgres/block-set.ts'
import { PAGE_BYTES } from '../../repository/format.ts'
import type { UnitPacker } from '../../repository/unit-packer.ts'
import type { EmptiedPacks } from './emptied-packs.ts'
import type { FileRecord } from './file-record.ts'
import type { ReferenceFile } from './reference-files.ts'

/** The file, and what of it is read. */
export interface MappedContent {
  readonly descriptor: number
  /** Whole pages. */
  readonly sizeBytes: number
  /** Blocks in the file, ascending. */
  readonly runs: readonly BlockRun[]
  readonly reference: ReferenceFile
  /** Pages from there are read as well. */
  readonly emptied: EmptiedPacks
  /** Number of the first block in its relation when the pages' checksums are to be judged. */
  readonly firstBlock: number | undefined
  readonly pace: ((bytes: number) => Promise<void>) | undefined
}

/** Puts what is to be read into units. */
export async function readMapped(
  packer: UnitPacker,
  record: FileRecord,
  content: MappedContent,
): Promise<void> {
  const { sizeBytes, reference } = content
  for (const run of withEmptied(content)) await readRun(packer, record, { ...content, run })
  const { file, pageCrcs } = reference
  const endBytes = Math.min(file.sizeBytes - (file.sizeBytes % PAGE_BYTES), sizeBytes)
  record.end({ sizeBytes, reference: { extents: file.extents, endBytes, pageCrcs } })
}

async function readRun(
  packer: UnitPacker,
  record: FileRecord,
  { descriptor, firstBlock, pace, run }: MappedContent & { readonly run: BlockRun },
): Promise<void> {
  for (let position = run.from * PAGE_BYTES; position < run.to * PAGE_BYTES;) {
    record.expect()
    const room = await packer.openPiece({
      owner: record,
      fileOffset: position,
      wantedBytes: run.to * PAGE_BYTES - position,
      firstBlock: firstBlock === undefined ? undefined : firstBlock + position / PAGE_BYTES,
      paged: true,
    })
    packer.read({ path: record.facts.path, descriptor, position }, room)
    position += room
    await pace?.(room)
  }
}

/** The runs, and between them what lies in packs that are to be emptied. */
function* withEmptied({ runs, reference, emptied, sizeBytes }: MappedContent): Generator<BlockRun> {
  const pages = sizeBytes / PAGE_BYTES
  let next = 0
  for (const run of [...runs, { from: pages, to: pages }]) {
    for (let block = next; block < run.from; block += 1) {
      if (emptied.takes(reference.file, block * PAGE_BYTES)) yield { from: block, to: block + 1 }
    }
    if (run.from < run.to) yield run
    next = run.to
  }
}
