/**
 * Pages that arrived with a wrong checksum because the server was just writing them. Such a page
 * may have an old LSN: its header was not written yet, or only hint bits changed. It is no damage
 * when the first record of the backup's own WAL that touches it writes all of it anew: a restore
 * replays that WAL before the server is consistent. Needs no role on the server, and is proof where
 * a second look is none.
 */
import { firstBlockOf, parseRelationPath } from '../../postgres/relation-path.ts'
import { formatSegmentName, segmentOf, segmentStart } from '../../postgres/segment-name.ts'
import { FORK_NUMBERS, locatorOf } from '../../postgres/rel-file-locator.ts'
import { BlockCursor, type WalBlock } from '../../postgres/wal-block.ts'
import type { WalRecord } from '../../postgres/wal-record.ts'
import { WalScanner } from '../../postgres/wal-scanner.ts'
import type { BadPage, BackupInfo } from '../../repository/backup-info.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import { readWalFile } from '../../wal/read-wal-file.ts'
import type { WalRange } from '../../wal/wal-position.ts'

/** Bad pages as they are listed. */
export type BadPages = BackupInfo['badPages']

/** The damaged pages, and those that were only torn. */
export interface JudgedPages {
  readonly badPages: BadPages
  readonly tornPages: readonly BadPage[]
}

/**
 * Separates them. `range`: from the backup's start to its stop, held. Only pages that are listed
 * can be told apart.
 * @throws {BackstayError} REPOSITORY_DAMAGED, STORE when the WAL cannot be read.
 */
export async function judgeBadPages(
  cluster: ClusterRepository,
  range: WalRange,
  badPages: BadPages,
): Promise<JudgedPages> {
  if (badPages.count === 0) return { badPages, tornPages: [] }
  const wanted = new Map(badPages.list.flatMap((page) => keyed(page)))
  const isWhole = await firstTouches(cluster, range, new Set(wanted.keys()))
  const torn = new Set([...wanted].filter(([key]) => isWhole.get(key)).map(([, page]) => page))
  const list = badPages.list.filter((page) => !torn.has(page))
  return { badPages: { count: badPages.count - torn.size, list }, tornPages: [...torn] }
}

/** For each block that the WAL touches, whether its first record writes all of it. */
async function firstTouches(
  cluster: ClusterRepository,
  range: WalRange,
  wanted: ReadonlySet<string>,
): Promise<ReadonlyMap<string, boolean>> {
  const { major, segmentBytes } = cluster.identity
  const found = new Map<string, boolean>()
  const cursor = new BlockCursor(major)
  const note = (record: WalRecord): void => {
    cursor.open(record)
    while (cursor.next()) {
      const key = keyOf(cursor)
      if (wanted.has(key) && !found.has(key)) found.set(key, cursor.isWhole)
    }
  }
  let segment = segmentOf(range.startLsn, { timeline: range.timeline, segmentBytes })
  const startLsn = segmentStart(segment, segmentBytes)
  const scanner = new WalScanner({ startLsn, recordLsn: range.startLsn, segmentBytes })
  while (segmentStart(segment, segmentBytes) < range.endLsn && scanner.stop === undefined) {
    const file = await readWalFile(cluster, formatSegmentName(segment, segmentBytes))
    // Pages that are not looked up stay bad.
    if (file === undefined) break
    for (const record of scanner.push(file.content)) {
      if (record.lsn >= range.endLsn) return found
      note(record)
    }
    segment = { ...segment, number: segment.number + 1n }
  }
  return found
}

function keyed(page: BadPage): [string, BadPage][] {
  const file = parseRelationPath(page.path)
  if (file === undefined) return []
  const block = firstBlockOf(file) + page.block
  const fork = FORK_NUMBERS[file.fork]
  return [[keyOf({ ...locatorOf(file), fork, block }), page]]
}

function keyOf(block: Omit<WalBlock, 'isWhole'>): string {
  const { tablespaceOid, databaseOid, fileNumber, fork } = block
  return `${tablespaceOid}/${databaseOid}/${fileNumber}/${fork}/${block.block}`
}
