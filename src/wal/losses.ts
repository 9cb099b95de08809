/**
 * Which holes are losses: WAL is missing that a listed backup could be rolled forward through, and
 * it was not retention that removed it.
 */
import { isAncestor, switchPointOf, type TimelineHistory } from '../postgres/timeline.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { readLines } from '../repository/line-records.ts'
import { type BackupSpan, type ContinuityMap, findGaps } from './continuity.ts'
import { loadLines } from './load-lines.ts'
import { needsWal } from './needed-wal.ts'
import { readReleased, without } from './released-wal.ts'
import type { WalRange } from './wal-position.ts'

/** What a hole is judged by. */
interface HoleFacts {
  readonly backups: readonly BackupSpan[]
  readonly histories: readonly TimelineHistory[]
  /** What retention answers for. */
  readonly released: readonly WalRange[]
  /** The lines production may be on. */
  readonly current: readonly TimelineHistory[]
  /** Timelines declared dead. */
  readonly abandoned: ReadonlySet<number>
}

/** The losses of a cluster. @throws {BackstayError} REPOSITORY_DAMAGED */
export async function loadLosses(
  repository: ClusterRepository,
  map: ContinuityMap,
  backups: readonly BackupSpan[],
): Promise<readonly WalRange[]> {
  const { abandoned } = await readLines(repository)
  const { current } = await loadLines(repository, map, backups)
  const released = await readReleased(repository)
  const histories = [...map.histories.values()]
  return lossesOf(findGaps(map), { backups, histories, released, current, abandoned })
}

/**
 * Of the holes those that matter. While there is no backup every hole does: nobody knows what will
 * be asked for. Pure.
 */
function lossesOf(gaps: readonly WalRange[], facts: HoleFacts): readonly WalRange[] {
  return without(gaps, facts.released).filter((gap) => {
    if (isDead(gap, facts)) return false
    const { backups, histories } = facts
    if (backups.length === 0) return true
    return backups.some((backup) => needsWal({ ...backup, onlyItself: false }, gap, histories))
  })
}

/** Whether the hole is only on a line that was declared dead: not before a living one left it. */
function isDead({ timeline, startLsn }: WalRange, { current, abandoned }: HoleFacts): boolean {
  if (!abandoned.has(timeline)) return false
  return !current.some(
    (line) => isAncestor(line, timeline) && (switchPointOf(line, timeline) ?? startLsn) > startLsn,
  )
}
