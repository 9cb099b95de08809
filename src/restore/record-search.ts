/**
 * Finding records on a path through the WAL: backwards from an end, forwards from a start, or by
 * time. Reads as few segments as it can; what is in one segment is asked of a `WalReading`
 * (wal-reading.ts reads it from the repository).
 */
import { addBytes, type Lsn } from '../postgres/lsn.ts'
import { segmentFloor } from '../wal/wal-position.ts'
import type { TimelinePath } from './timeline-path.ts'

/** Where a record is. `endLsn` is the first byte after it. */
export interface RecordPlace {
  readonly startLsn: Lsn
  readonly endLsn: Lsn
}

/** A record that carries a time: the end of a transaction or a restore point. */
export interface TimedPlace extends RecordPlace {
  readonly timeUs: bigint
}

/** A record that answers a question; its time if it carries one. */
export interface FoundPlace extends RecordPlace {
  readonly timeUs: bigint | undefined
}

/** Which record is looked for. */
export type WalQuestion =
  /** Any record. */
  | { readonly find: 'record' }
  | { readonly find: 'transaction'; readonly xid: number }
  | { readonly find: 'restore-point'; readonly name: string }
  /** The first transaction that ended later than `timeUs`, or at it when `orAt`. */
  | { readonly find: 'time'; readonly timeUs: bigint; readonly orAt: boolean }
  /** The record with which a promotion begins a timeline. */
  | { readonly find: 'promotion' }

/** What a stretch of WAL holds, of the records that begin in it and are complete. */
export interface WalSurvey {
  readonly lastRecord: RecordPlace | undefined
  /** Commit or abort, prepared or not. */
  readonly lastTransaction: TimedPlace | undefined
  /** The latest time at which a transaction ended; not always that of the last one. */
  readonly latestTimeUs: bigint | undefined
  /** The first record that answers the question. */
  readonly match: FoundPlace | undefined
}

/** A stretch of a path inside one segment. */
export interface WalStretch {
  readonly path: TimelinePath
  /** Records that begin in [from, to). */
  readonly from: Lsn
  readonly to: Lsn
  /** Bytes are held up to here, so a record may go on beyond `to`. */
  readonly heldTo: Lsn
}

/** Reads the records of a stretch of held WAL. Calls must not overlap. */
export interface WalReading {
  readonly segmentBytes: number
  /** @throws {BackstayError} REPOSITORY_DAMAGED, STORE, WAL_INVALID. */
  survey(stretch: WalStretch, question?: WalQuestion): Promise<WalSurvey>
}

/** Where to look: `to` is the first byte not held. */
export interface SearchRange {
  readonly path: TimelinePath
  readonly from: Lsn
  readonly to: Lsn
}

/** The last complete record that begins in the range. */
export async function findLastRecord(
  wal: WalReading,
  range: SearchRange,
): Promise<RecordPlace | undefined> {
  for (let index = countOf(wal, range) - 1; index >= 0; index -= 1) {
    const { lastRecord } = await wal.survey(stretchAt(wal, range, index))
    if (lastRecord !== undefined) return lastRecord
  }
  return undefined
}

/** What the last segment of the range says in which a transaction ended. */
export async function findLastTransaction(
  wal: WalReading,
  range: SearchRange,
): Promise<WalSurvey | undefined> {
  for (let index = countOf(wal, range) - 1; index >= 0; index -= 1) {
    const survey = await wal.survey(stretchAt(wal, range, index))
    if (survey.lastTransaction !== undefined) return survey
  }
  return undefined
}

/** The first record of the range that answers `question`, reading from the front. */
export async function findFirst(
  wal: WalReading,
  range: SearchRange,
  question: WalQuestion,
): Promise<FoundPlace | undefined> {
  const count = countOf(wal, range)
  for (let index = 0; index < count; index += 1) {
    const { match } = await wal.survey(stretchAt(wal, range, index), question)
    if (match !== undefined) return match
  }
  return undefined
}

/**
 * The first transaction that ended after a time, by halving: times are taken to grow from segment
 * to segment, as they do unless the server's clock was set back. The last segment is asked first,
 * because it alone can say no.
 */
export async function findFirstAfter(
  wal: WalReading,
  range: SearchRange,
  question: Extract<WalQuestion, { find: 'time' }>,
): Promise<FoundPlace | undefined> {
  const surveyed = new Map<number, Promise<WalSurvey>>()
  const ask = async (index: number): Promise<WalSurvey> => {
    const asked = surveyed.get(index) ?? wal.survey(stretchAt(wal, range, index), question)
    surveyed.set(index, asked)
    return asked
  }
  let low = 0
  let high = countOf(wal, range)
  let found: FoundPlace | undefined
  for (let middle = high - 1; low < high; middle = (low + high) >>> 1) {
    let probe = middle
    let survey = await ask(probe)
    while (survey.lastTransaction === undefined && probe + 1 < high) survey = await ask(++probe)
    found = survey.match ?? found
    const isEarlier = survey.match === undefined && survey.lastTransaction !== undefined
    if (isEarlier) low = probe + 1
    else high = middle
  }
  return found
}

/** How many segments the range touches. */
function countOf(wal: WalReading, range: SearchRange): number {
  if (range.to <= range.from) return 0
  const first = segmentFloor(range.from, wal.segmentBytes)
  return Number((range.to - first - 1n) / BigInt(wal.segmentBytes)) + 1
}

/** The part of the range in its `index`-th segment. */
function stretchAt(wal: WalReading, range: SearchRange, index: number): WalStretch {
  const begin = addBytes(
    segmentFloor(range.from, wal.segmentBytes),
    BigInt(index) * BigInt(wal.segmentBytes),
  )
  const end = addBytes(begin, wal.segmentBytes)
  return {
    path: range.path,
    from: begin > range.from ? begin : range.from,
    to: end < range.to ? end : range.to,
    heldTo: range.to,
  }
}
