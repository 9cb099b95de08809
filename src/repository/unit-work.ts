/**
 * One unit's work: reading, page checksums, CRCs, changed pages, compression. Runs in a worker; holds no
 * state but its checker.
 */
import { crc32c } from '@node-rs/crc32'
import type { Lsn } from '../postgres/lsn.ts'
import { PageChecker, type PageMemory } from '../postgres/page-checker.ts'
import { compressUnit } from './codec.ts'
import { PAGE_BYTES } from './format.ts'
import { joinPageCrcs, pageCrcsOf } from './page-crcs.ts'
import { readStretch, turnsGood } from './slot-reads.ts'
import { inputOffset, slotInput, slotOutput } from './unit-slots.ts'
import type { SlotStretch, UnitJob, UnitResult } from './unit-job.ts'

/** What every worker is started with. */
export interface UnitWorkSettings {
  readonly memory: PageMemory
  /** zstd level. */
  readonly level: number
}

/** Returns the function that does jobs on `settings.memory`. */
export function unitWork(settings: UnitWorkSettings): (job: UnitJob) => UnitResult {
  const { memory, level } = settings
  const checker = new PageChecker(memory, PAGE_BYTES)
  return (job) => {
    const content = slotInput(memory, job.slot).subarray(0, job.rawBytes)
    const base = inputOffset(job.slot)
    const findBad = (offset: number, pageCount: number, firstBlock: number): readonly number[] =>
      checker.findBadPages({ offset: base + offset, pageCount }, firstBlock, job.limitLsn as Lsn)
    for (const read of job.reads) readStretch(content, read)
    const badBlocks = job.pages.map(({ offset, pageCount, firstBlock }) =>
      findBad(offset, pageCount, firstBlock).filter((block) => {
        const page = offset + (block - firstBlock) * PAGE_BYTES
        const isGood = (): boolean => findBad(page, 1, block).length === 0
        return !turnsGood(content, { reads: job.reads, offset: page }, isGood)
      }),
    )
    // After the last byte that changes.
    const crcs = job.crcs.map((stretch) => crcsOf(content, stretch))
    return {
      slot: job.slot,
      badBlocks,
      crcs: crcs.map(({ crc }) => crc),
      pageCrcs: crcs.map(({ pages }) => pages),
      changed:
        job.changedSince === undefined
          ? undefined
          : checker.changedSince(
              { offset: base, pageCount: Math.floor(job.rawBytes / PAGE_BYTES) },
              job.changedSince as Lsn,
            ),
      storedBytes: job.compress ? compressInto(content, slotOutput(memory, job.slot), level) : 0,
    }
  }
}

function crcsOf(
  content: Buffer,
  { offset, length, paged }: SlotStretch,
): { readonly crc: number; readonly pages: Uint32Array | undefined } {
  const bytes = content.subarray(offset, offset + length)
  if (!paged) return { crc: crc32c(bytes), pages: undefined }
  const pages = pageCrcsOf(bytes)
  return { crc: joinPageCrcs(pages, length), pages }
}

function compressInto(content: Buffer, output: Buffer, level: number): number {
  const frame = compressUnit(content, level)
  output.set(frame)
  return frame.byteLength
}
