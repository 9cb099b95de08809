/**
 * What of a relation's file has to be read for a backup of changed pages when the block map of the
 * WAL since the reference vouches: everything else is as it is there. Pure. As PostgreSQL 17's own
 * rules (basebackup_incremental.c, GetFileBackupMethod), but that visibility maps are read whole:
 * WAL clears their bits without naming their pages, and they are small.
 */
import type { BlockMap } from '../../postgres/block-map.ts'
import type { BlockRun } from '../../postgres/block-set.ts'
import { FORK_NUMBERS, locatorOf } from '../../postgres/rel-file-locator.ts'
import {
  firstBlockOf,
  parseRelationPath,
  RELATION_SEGMENT_BLOCKS,
} from '../../postgres/relation-path.ts'
import { PAGE_BYTES } from '../../repository/format.ts'

/** A file by path and size: as it is now, and as it is in the reference. */
export interface FileSizes {
  readonly path: string
  readonly sizeBytes: number
  /** Undefined when the reference has no such file. */
  readonly referenceBytes: number | undefined
}

/** Blocks numbered within the file, ascending, none touching the next; or all of the file. */
export type PagesToRead = 'all' | readonly BlockRun[]

/** The pages that may be other than in the reference. */
export function pagesToRead(sizes: FileSizes, map: BlockMap): PagesToRead {
  const { path, sizeBytes, referenceBytes } = sizes
  const file = parseRelationPath(path)
  if (file?.fork !== 'main' || referenceBytes === undefined) return 'all'
  if (!isOfPages(sizeBytes) || !isOfPages(referenceBytes)) return 'all'
  const place = { ...locatorOf(file), fork: FORK_NUMBERS.main }
  const first = firstBlockOf(file)
  const pages = sizeBytes / PAGE_BYTES
  const limit = map.limitOf(place) ?? Infinity
  // Behind the limit, and behind the reference's end, nothing of the reference holds.
  const kept = Math.min(pages, referenceBytes / PAGE_BYTES, limit - first)
  if (map.isWhole(place) || kept <= 0) return 'all'
  const runs = [...map.writtenIn(place, { from: first, to: first + kept })].map(({ from, to }) => ({
    from: from - first,
    to: to - first,
  }))
  return kept < pages ? withRest(runs, { from: kept, to: pages }) : runs
}

function withRest(runs: readonly BlockRun[], rest: BlockRun): readonly BlockRun[] {
  const last = runs.at(-1)
  if (last?.to !== rest.from) return [...runs, rest]
  return [...runs.slice(0, -1), { from: last.from, to: rest.to }]
}

/** A file that is none of ours in size is not understood. */
function isOfPages(sizeBytes: number): boolean {
  return sizeBytes % PAGE_BYTES === 0 && sizeBytes / PAGE_BYTES <= RELATION_SEGMENT_BLOCKS
}
