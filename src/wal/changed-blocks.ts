/**
 * Which blocks the WAL between two places changes, as far as what is held of it can vouch: every
 * record from the start on, each following the one before, none of it written under wal_level =
 * minimal (docs/adr/0082-the-block-map.md).
 */
import { BlockMap } from '../postgres/block-map.ts'
import { addBytes, formatLsn, type Lsn } from '../postgres/lsn.ts'
import type { RecordSpan, SegmentBlocks } from '../postgres/segment-blocks.ts'
import type { WalLevelChange } from '../postgres/wal-level-change.ts'
import { DEFAULT_WAL_BLOCK_BYTES, LONG_HEADER_BYTES } from '../postgres/wal-page.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { heldHistory } from './judged-segment.ts'
import { SegmentBlocksSource } from './segment-blocks-source.ts'
import { segmentFloor, type WalRange } from './wal-position.ts'

/** What changed, or why nobody can say: a sentence without full stop. */
export type ChangedBlocks =
  | {
      readonly map: BlockMap
      /**
       * Where the server was stopped in between, or had crashed. Files may have changed meanwhile
       * that no WAL describes: then the map alone does not vouch for them.
       */
      readonly stops: readonly Lsn[]
      readonly reason?: undefined
    }
  | { readonly map?: undefined; readonly stops?: undefined; readonly reason: string }

/** Forks of relations in one answer: some 200 MB. */
const FORKS_MAX = 2 ** 18

/**
 * What the records change that begin at or after `startLsn` and end at or before `endLsn`, and
 * perhaps some of the same segments beyond. Makes the maps that are missing.
 * @param range `startLsn`: where a record begins, or a segment. `timeline`: the one at its end; what
 * lies before on its ancestors is read there.
 * @throws {BackstayError} STORE; the signal's reason.
 */
export async function changedBlocks(
  repository: ClusterRepository,
  range: WalRange,
  signal?: AbortSignal,
): Promise<ChangedBlocks> {
  const history = await heldHistory(repository, range.timeline)
  if (history === undefined) {
    return { reason: `the history of timeline ${range.timeline} is not held` }
  }
  await using source = new SegmentBlocksSource(repository, history)
  const joined = new JoinedBlocks(range, repository.identity.segmentBytes)
  const size = BigInt(repository.identity.segmentBytes)
  for (let number = range.startLsn / size; number * size < range.endLsn; number += 1n) {
    signal?.throwIfAborted()
    const { blocks, reason } = await source.get(source.nameOf(number))
    const problem = blocks === undefined ? reason : joined.add(blocks)
    if (problem !== undefined) return { reason: problem }
  }
  return joined.finish()
}

/** Segments in order, as long as they follow each other. Pure. */
class JoinedBlocks {
  readonly #range: WalRange
  /** The first record may begin there at the latest. */
  readonly #startLsn: Lsn
  readonly #map = new BlockMap()
  readonly #walLevels: WalLevelChange[] = []
  readonly #stops: Lsn[] = []
  #last: RecordSpan | undefined

  constructor(range: WalRange, segmentBytes: number) {
    const first = addBytes(segmentFloor(range.startLsn, segmentBytes), LONG_HEADER_BYTES)
    this.#range = range
    this.#startLsn = range.startLsn > first ? range.startLsn : first
  }

  /** Returns why it does not vouch, in words without full stop. */
  add({ span, walLevels, stops, map }: SegmentBlocks): string | undefined {
    // A long record goes through it: what it changes belongs to the segment it ends in.
    if (span === undefined) return undefined
    const problem = this.#findGap(span)
    if (problem !== undefined) return problem
    this.#last = span
    this.#walLevels.push(...walLevels)
    this.#stops.push(...stops)
    this.#map.addAll(map)
    const isTooMuch = this.#map.forkCount > FORKS_MAX
    return isTooMuch ? `the WAL changes more than ${FORKS_MAX} relations` : undefined
  }

  finish(): ChangedBlocks {
    const { startLsn, endLsn } = this.#range
    const reached = this.#last?.endLsn ?? startLsn
    if (!isReached(endLsn, reached)) {
      return { reason: `the WAL held ends at ${formatLsn(reached)}, before ${formatLsn(endLsn)}` }
    }
    const minimal = findMinimal(this.#walLevels, this.#range)
    if (minimal !== undefined) {
      return { reason: `what follows ${formatLsn(minimal)} was written under wal_level = minimal` }
    }
    return { map: this.#map, stops: this.#stops.filter((lsn) => startLsn < lsn && lsn < endLsn) }
  }

  #findGap(span: RecordSpan): string | undefined {
    const { firstLsn, previousLsn } = span
    if (this.#last === undefined) {
      if (firstLsn <= this.#startLsn) return undefined
      return `the WAL from ${formatLsn(this.#range.startLsn)} to ${formatLsn(firstLsn)} is not held`
    }
    if (previousLsn === this.#last.lastLsn) return undefined
    return `the record at ${formatLsn(firstLsn)} does not follow the one at ${formatLsn(this.#last.lastLsn)}`
  }
}

/** Between a record that ends with a page and the next one lies the next page's header. */
function isReached(wanted: Lsn, reached: Lsn): boolean {
  if (wanted <= reached) return true
  const isPageEnd = reached % BigInt(DEFAULT_WAL_BLOCK_BYTES) === 0n
  return isPageEnd && wanted <= addBytes(reached, LONG_HEADER_BYTES)
}

/** Where in the range WAL begins to be of wal_level = minimal; undefined when it never is. */
function findMinimal(changes: readonly WalLevelChange[], range: WalRange): Lsn | undefined {
  const minimal = changes.find(({ lsn, walLevel }, index) => {
    const until = changes[index + 1]?.lsn
    const isOver = until !== undefined && until <= range.startLsn
    return walLevel === 'minimal' && lsn < range.endLsn && !isOver
  })
  return minimal?.lsn
}
