/**
 * Gathers what is held of a cluster's WAL, in the repository and in the spool, for the continuity
 * map.
 */
import { existsSync } from 'node:fs'
import { addBytes } from '../postgres/lsn.ts'
import {
  formatSegmentName,
  parseSegmentName,
  type Segment,
  segmentStart,
} from '../postgres/segment-name.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import type { WalPartial } from '../repository/wal-objects.ts'
import { buildContinuityMap, type ContinuityMap } from './continuity.ts'
import { listGaps } from './gaps.ts'
import { segmentSource, storedHistories, unlessDamaged } from './held-wal.ts'
import { isStale, readReceiverStatus } from './receiver-status.ts'
import { inspectSpool } from './recover-spool.ts'
import { spoolOf } from './spool-place.ts'
import { findWalEnd } from './wal-end.ts'
import type { WalPosition, WalRange } from './wal-position.ts'

/** What the names in the repository say. */
export interface HeldNames {
  readonly segments: readonly Segment[]
  readonly partials: readonly WalPartial[]
  /** These, and what waits in the spool, joined. */
  readonly map: ContinuityMap
}

/** What is held now. Reads names, the history files, and the few unfinished segments. */
export async function loadContinuity(repository: ClusterRepository): Promise<ContinuityMap> {
  const { identity } = repository
  const { finished, tails } = await readSpool(repository)
  const damaged: string[] = []
  const onDamaged = (object: string): void => void damaged.push(object)
  const segments = [...(await storedSegments(repository)), ...finished]
  const partials = await partialRanges(repository, onDamaged)
  const histories = await storedHistories(repository, onDamaged)
  const recorded = (await unlessDamaged(async () => listGaps(repository))) ?? []
  const { segmentBytes } = identity
  return buildContinuityMap({
    segmentBytes,
    barriers: recorded.filter(({ isBarrier }) => isBarrier),
    segments,
    tails: [...partials, ...tails],
    histories,
    damaged,
  })
}

/**
 * The same by names alone, but for the spool: partials count with the length their names say, which
 * may be more than their last record. For what need not be exact and must not fail over a damaged
 * object.
 */
export async function loadHeldNames(repository: ClusterRepository): Promise<HeldNames> {
  const { identity, wal } = repository
  const { segmentBytes } = identity
  const segments = await storedSegments(repository)
  const partials: WalPartial[] = []
  for (const timeline of await wal.listTimelines()) {
    for (const partial of await wal.listPartials(timeline)) partials.push(partial)
  }
  const { finished, tails } = await readSpool(repository)
  const histories = await storedHistories(repository)
  const beginnings = partials.flatMap((partial) => rangeByName(partial, segmentBytes) ?? [])
  const holdings = { segmentBytes, histories, tails: [...beginnings, ...tails] }
  const map = buildContinuityMap({ ...holdings, segments: [...segments, ...finished] })
  return { segments, partials, map }
}

/** What a partial holds, as its name says. */
export function rangeByName(
  { segment: name, bytes }: WalPartial,
  segmentBytes: number,
): WalRange | undefined {
  const segment = parseSegmentName(name, segmentBytes)
  if (segment === undefined || bytes === 0) return undefined
  const startLsn = segmentStart(segment, segmentBytes)
  return { timeline: segment.timeline, startLsn, endLsn: addBytes(startLsn, bytes) }
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

/**
 * The beginnings held as partial objects, each up to its last record. What cannot be read is told
 * to `onDamaged`.
 */
async function partialRanges(
  repository: ClusterRepository,
  onDamaged: (object: string) => void,
): Promise<WalRange[]> {
  const { wal, identity, names: objects } = repository
  const { segmentBytes } = identity
  const ranges: WalRange[] = []
  for (const timeline of await wal.listTimelines()) {
    const names = new Set((await wal.listPartials(timeline)).map((partial) => partial.segment))
    for (const name of names) {
      const segment = parseSegmentName(name, segmentBytes)
      const content = await unlessDamaged(async () => wal.getPartial(name))
      if (content === undefined) onDamaged(`${objects.walPartials(name)}/${name}.partial`)
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
