/**
 * Gathers what is held of a cluster's WAL, in the repository and in the spool, for the continuity map.
 */
import { existsSync } from 'node:fs'
import {
  formatSegmentName,
  parseSegmentName,
  type Segment,
  segmentStart,
} from '../postgres/segment-name.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { buildContinuityMap, type ContinuityMap } from './continuity.ts'
import { segmentSource, storedHistories } from './held-wal.ts'
import { isStale, readReceiverStatus } from './receiver-status.ts'
import { inspectSpool } from './recover-spool.ts'
import { spoolOf } from './spool-place.ts'
import { findWalEnd } from './wal-end.ts'
import type { WalPosition, WalRange } from './wal-position.ts'

/** What is held now. Reads names, the history files, and the few unfinished segments. */
export async function loadContinuity(repository: ClusterRepository): Promise<ContinuityMap> {
  const { identity } = repository
  const { finished, tails } = await readSpool(repository)
  return buildContinuityMap({
    segmentBytes: identity.segmentBytes,
    segments: [...(await storedSegments(repository)), ...finished],
    tails: [...(await partialRanges(repository)), ...tails],
    histories: await storedHistories(repository),
  })
}

async function storedSegments(repository: ClusterRepository): Promise<Segment[]> {
  const { wal, identity } = repository
  const segments: Segment[] = []
  for (const timeline of await wal.listTimelines()) {
    for await (const name of wal.listSegments(timeline)) {
      const segment = parseSegmentName(name, identity.segmentBytes)
      if (segment !== undefined) segments.push(segment)
    }
  }
  return segments
}

/** The beginnings held as partial objects, each up to its last record. */
async function partialRanges(repository: ClusterRepository): Promise<WalRange[]> {
  const { wal, identity } = repository
  const { segmentBytes } = identity
  const ranges: WalRange[] = []
  for (const timeline of await wal.listTimelines()) {
    const names = new Set((await wal.listPartials(timeline)).map((partial) => partial.segment))
    for (const name of names) {
      const segment = parseSegmentName(name, segmentBytes)
      const content = await wal.getPartial(name)
      if (segment === undefined || content === undefined) continue
      ranges.push(await rangeOf(repository, segment, content))
    }
  }
  return ranges.filter((range) => range.endLsn > range.startLsn)
}

async function rangeOf(
  repository: ClusterRepository,
  segment: Segment,
  content: Uint8Array,
): Promise<WalRange> {
  const { segmentBytes } = repository.identity
  const before = await previousOf(repository, segment)
  const { endLsn } = findWalEnd({ segment, segmentBytes, content, before })
  return { timeline: segment.timeline, startLsn: segmentStart(segment, segmentBytes), endLsn }
}

async function previousOf(
  repository: ClusterRepository,
  segment: Segment,
): Promise<Uint8Array | undefined> {
  if (segment.number === 0n) return undefined
  const previous = { ...segment, number: segment.number - 1n }
  const name = formatSegmentName(previous, repository.identity.segmentBytes)
  return await segmentSource(repository)(name)
}

interface Spooled {
  readonly finished: readonly Segment[]
  readonly tails: readonly WalRange[]
}

/** A running receiver knows what is synced; without one the spool is examined. */
async function readSpool(repository: ClusterRepository): Promise<Spooled> {
  const place = spoolOf(repository)
  const synced = await syncedByReceiver(repository)
  const content = await inspectSpool(place, segmentSource(repository), synced)
  const tails = content.tails.map(({ segment, endLsn }) => ({
    timeline: segment.timeline,
    startLsn: segmentStart(segment, place.segmentBytes),
    endLsn,
  }))
  return {
    finished: content.finished.map(({ segment }) => segment),
    tails: tails.filter((range) => range.endLsn > range.startLsn),
  }
}

/** After the last byte that a running receiver knows to be durable; undefined when none runs. */
export async function syncedByReceiver(
  repository: ClusterRepository,
): Promise<WalPosition | undefined> {
  const status = await readReceiverStatus(spoolOf(repository).directory)
  if (status === undefined || isStale(status, repository.clock)) return undefined
  if (status.state === 'stopped' || !existsSync(`/proc/${status.pid}`)) return undefined
  const { timeline, flushLsn } = status
  return timeline === undefined || flushLsn === undefined ? undefined : { timeline, lsn: flushLsn }
}
