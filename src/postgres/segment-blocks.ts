/**
 * What one WAL segment changes, gathered record by record. A record belongs to the segment in which
 * it ends: then every record of a timeline belongs to exactly one, and whoever reads segments in
 * order has all of it when it belongs somewhere.
 */
import { BlockMap } from './block-map.ts'
import { formatLsn, type Lsn } from './lsn.ts'
import { relationCutsOf } from './relation-cut.ts'
import { BlockCursor } from './wal-block.ts'
import { type WalLevelChange, walLevelChangeOf } from './wal-level-change.ts'
import type { WalRecord } from './wal-record.ts'

/** The records that end in a segment, by the positions at which they begin. */
export interface RecordSpan {
  /** Of the record before the first one: what the first one points back to. */
  readonly previousLsn: Lsn
  readonly firstLsn: Lsn
  readonly lastLsn: Lsn
  /** End of the last one. */
  readonly endLsn: Lsn
}

/** What a segment changes. */
export interface SegmentBlocks {
  /** Undefined when no record ends in the segment. */
  readonly span: RecordSpan | undefined
  readonly walLevels: readonly WalLevelChange[]
  /**
   * Where the server was stopped, or had crashed: each of its shutdown checkpoints, by the start of
   * the record. While a server does not run, files can change beside all WAL.
   */
  readonly stops: readonly Lsn[]
  readonly map: BlockMap
}

/** What was gathered, and whether that is to be trusted. */
export interface GatheredBlocks extends SegmentBlocks {
  /**
   * A record that is shorter than its kind, as no PostgreSQL writes them; or more than one map
   * takes. Words without full stop.
   */
  readonly problem: string | undefined
}

/**
 * Forks of relations that one segment's map takes: some 100 MB while it is made. A transaction that
 * drops more than a third as many relations has no map.
 */
export const SEGMENT_FORKS_MAX = 2 ** 17

const XLOG = 0
const INFO_MASK = 0xf0
const SHUTDOWN_CHECKPOINT = 0x00

/** Takes the records of one segment in order. Keeps views of the first and the last. */
export class SegmentBlocksBuilder {
  readonly #major: number
  readonly #cursor: BlockCursor
  readonly #map = new BlockMap()
  readonly #walLevels: WalLevelChange[] = []
  readonly #stops: Lsn[] = []
  #first: WalRecord | undefined
  #last: WalRecord | undefined
  #problem: string | undefined

  constructor(major: number) {
    this.#major = major
    this.#cursor = new BlockCursor(major)
  }

  add(record: WalRecord): void {
    this.#first ??= record
    this.#last = record
    if (this.#problem !== undefined) return
    try {
      this.#take(record)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      this.#problem = `the record at ${formatLsn(record.lsn)} cannot be read: ${error.message}`
    }
    if (this.#map.forkCount > SEGMENT_FORKS_MAX) this.#problem = 'it changes too many relations'
  }

  #take(record: WalRecord): void {
    for (const cut of relationCutsOf(record, this.#major)) this.#map.cut(cut)
    if (record.resourceManager === XLOG) this.#takeXlog(record)
    const cursor = this.#cursor
    cursor.open(record)
    while (cursor.next()) this.#map.mark(cursor)
  }

  #takeXlog(record: WalRecord): void {
    const change = walLevelChangeOf(record, this.#major)
    if (change !== undefined) this.#walLevels.push(change)
    if ((record.info & INFO_MASK) === SHUTDOWN_CHECKPOINT) this.#stops.push(record.lsn)
  }

  /** What the records taken so far change. */
  finish(): GatheredBlocks {
    return {
      span: this.#span(),
      walLevels: this.#walLevels,
      stops: this.#stops,
      map: this.#map,
      problem: this.#problem,
    }
  }

  #span(): RecordSpan | undefined {
    if (this.#first === undefined || this.#last === undefined) return undefined
    const { previousLsn, lsn: firstLsn } = this.#first
    return { previousLsn, firstLsn, lastLsn: this.#last.lsn, endLsn: this.#last.endLsn }
  }
}
