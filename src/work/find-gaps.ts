/**
 * Which WAL is missing between what is held, and what else of it somebody has to look at.
 */
import { listBackups } from '../repository/catalogue.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { type ContestedWal, listContested } from '../wal/contested.ts'
import { listGaps, type WalGap } from '../wal/gaps.ts'
import { loadContinuity } from '../wal/load-continuity.ts'
import { loadLosses } from '../wal/losses.ts'
import { examineHeld, hasUnexamined } from '../wal/unexamined.ts'
import type { WalRange } from '../wal/wal-position.ts'
import type { Ear } from './ear.ts'

/** WAL that is missing now, with the record that was made of it when it was lost. */
export interface FoundGap extends WalRange {
  /** ISO 8601 UTC; null without a record. */
  readonly recordedAt: string | null
  readonly reason: string | null
}

/** No backup before a gap can be rolled forward across it. */
export interface FoundGaps {
  readonly gaps: readonly FoundGap[]
  /** Objects that are damaged, and counted as not held. */
  readonly damaged: readonly string[]
  readonly contested: readonly ContestedWal[]
}

/**
 * Finds them. A repository of an earlier version is read whole once, to find WAL that was written
 * under wal_level = minimal: `examining` is told before.
 * @throws {BackstayError} REPOSITORY_DAMAGED, STORE; the signal's reason
 */
export async function findGaps(
  repository: ClusterRepository,
  { signal, on }: Ear<{ readonly kind: 'examining' }>,
): Promise<FoundGaps> {
  if (await hasUnexamined(repository)) {
    on({ kind: 'examining' })
    await examineHeld(repository, signal)
  }
  const map = await loadContinuity(repository)
  const backups = (await listBackups(repository)).map(({ info }) => info)
  const losses = await loadLosses(repository, map, backups)
  const gaps = explain(losses, await listGaps(repository))
  const { damaged = [] } = map
  return { gaps, damaged, contested: await listContested(repository) }
}

/** A record whose range was filled since is not shown. */
function explain(found: readonly WalRange[], recorded: readonly WalGap[]): FoundGap[] {
  return found.map((gap) => {
    const record = recorded.find(
      ({ timeline, startLsn, endLsn }) =>
        timeline === gap.timeline && startLsn < gap.endLsn && gap.startLsn < endLsn,
    )
    return { ...gap, recordedAt: record?.recordedAt ?? null, reason: record?.reason ?? null }
  })
}
