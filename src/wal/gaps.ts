/**
 * Ranges of WAL that were gone from the server before they were received, and places in what is
 * held that recovery cannot pass, as durable objects: a gap is remembered until somebody deletes it
 * (docs/repository-format.md §9).
 */
import { formatLsn, type Lsn, parseLsn } from '../postgres/lsn.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { putSealed, readSealed } from '../repository/sealed-object.ts'
import type { WalRange } from './wal-position.ts'

/** A range of WAL that is lost. */
export interface WalGap extends WalRange {
  /** ISO 8601 UTC. */
  readonly recordedAt: string
  /** What the server said. */
  readonly reason: string
  /**
   * The WAL is held, but recovery cannot pass it: it says that what follows was written under
   * `wal_level = minimal`.
   */
  readonly isBarrier: boolean
}

/** Records the range durably as lost; a range recorded before stays as it was. */
export async function recordGap(
  repository: ClusterRepository,
  range: WalRange,
  reason: string,
): Promise<void> {
  await put(repository, range, { reason })
}

/** Records durably that recovery cannot pass a range that is held. */
export async function recordBarrier(
  repository: ClusterRepository,
  range: WalRange,
  reason: string,
): Promise<void> {
  await put(repository, range, { reason, barrier: true })
}

async function put(
  { store, names, clock }: ClusterRepository,
  range: WalRange,
  why: Readonly<Record<string, unknown>>,
): Promise<void> {
  const bounds = [hex(range.timeline, 8), hex(range.startLsn, 16), hex(range.endLsn, 16)]
  await putSealed(store, `${names.gaps}/${bounds.join('-')}.json`, {
    timeline: range.timeline,
    startLsn: formatLsn(range.startLsn),
    endLsn: formatLsn(range.endLsn),
    recordedAt: new Date(clock.now()).toISOString(),
    ...why,
  })
}

/** All recorded gaps, by timeline and position. @throws {BackstayError} REPOSITORY_DAMAGED */
export async function listGaps(repository: ClusterRepository): Promise<readonly WalGap[]> {
  const { store, names } = repository
  const gaps: WalGap[] = []
  for (const object of await store.listObjects(names.gaps)) {
    const value = await readSealed(store, `${names.gaps}/${object}`)
    if (value !== undefined) gaps.push(gapOf(value))
  }
  return gaps
}

function gapOf(value: Readonly<Record<string, unknown>>): WalGap {
  return {
    timeline: Number(value['timeline']),
    startLsn: parseLsn(String(value['startLsn'])) as Lsn,
    endLsn: parseLsn(String(value['endLsn'])) as Lsn,
    recordedAt: String(value['recordedAt']),
    reason: String(value['reason']),
    isBarrier: value['barrier'] === true,
  }
}

function hex(value: number | bigint, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0')
}
