/**
 * Gathers what is known of the lines of a cluster: what was recorded, and the timelines held.
 */
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { type LineRecords, readLines } from '../repository/line-records.ts'
import type { BackupSpan, ContinuityMap } from './continuity.ts'
import { syncedByReceiver } from './load-continuity.ts'
import { type ProductionLines, productionLines, timelinesOf } from './production-line.ts'

/**
 * The lines of a cluster. A receiver that streams at this moment knows best; where nothing is
 * recorded, the newest backup tells where production was when it was taken.
 * @throws {BackstayError} STORE
 */
export async function loadLines(
  repository: ClusterRepository,
  map: ContinuityMap,
  backups: readonly Pick<BackupSpan, 'id' | 'timeline'>[],
): Promise<ProductionLines> {
  const recorded = await readLines(repository)
  const known = timelinesOf(map, backups)
  const live = (await syncedByReceiver(repository))?.timeline
  if (live === undefined || recorded.abandoned.has(live)) {
    return productionLines(map, known, withBackup(recorded, known, backups))
  }
  const seen = { timeline: live, known: [...known, live], recordedAt: '', by: 'receiver' } as const
  const { current } = productionLines(map, known, { ...recorded, records: [seen] })
  return { ...productionLines(map, known, recorded), current }
}

/**
 * What the newest backup says, when nobody else says anything: production was on its timeline, and
 * those below it were there.
 */
function withBackup(
  recorded: LineRecords,
  known: readonly number[],
  backups: readonly Pick<BackupSpan, 'id' | 'timeline'>[],
): LineRecords {
  const newest = backups.toSorted((a, b) => (a.id < b.id ? 1 : -1))[0]
  if (recorded.records.length > 0 || newest === undefined) return recorded
  const { timeline } = newest
  const before = known.filter((one) => one <= timeline)
  const seen = { timeline, known: before, recordedAt: '', by: 'backup' } as const
  return { ...recorded, records: [seen] }
}
