/**
 * Surveys WAL for the planner: reads the segments of a path, walks their records, keeps what
 * recovery can stop at.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { bytesBetween, formatLsn, type Lsn } from '../postgres/lsn.ts'
import { formatSegmentName, segmentOf } from '../postgres/segment-name.ts'
import { type WalEvent, walEventOf } from '../postgres/wal-event.ts'
import type { WalRecord } from '../postgres/wal-record.ts'
import { WalScanner } from '../postgres/wal-scanner.ts'
import type { ContinuityMap } from '../wal/continuity.ts'
import { segmentFloor } from '../wal/wal-position.ts'
import { fileTimelineAt, type TimelinePath } from './timeline-path.ts'
import type {
  FoundPlace,
  RecordPlace,
  TimedPlace,
  WalQuestion,
  WalReading,
  WalStretch,
  WalSurvey,
} from './record-search.ts'

/** What surveying stands on. */
export interface HeldWal {
  readonly map: ContinuityMap
  readonly major: number
  /** The content of a segment by its 24 digits, as far as it is held; undefined when it is not. */
  readSegment(name: string): Promise<Uint8Array | undefined>
  readonly signal?: AbortSignal | undefined
}

/**
 * Makes a reading of the WAL in `source`. Keeps the last segment read in memory; calls must not
 * overlap.
 */
export function readingOf(source: HeldWal): WalReading {
  let last: { readonly name: string; readonly bytes: Uint8Array } | undefined
  const read = async (path: TimelinePath, lsn: Lsn): Promise<Uint8Array> => {
    source.signal?.throwIfAborted()
    const name = nameAt(source.map, path, lsn)
    if (last?.name === name) return last.bytes
    const bytes = await source.readSegment(name)
    if (bytes === undefined) throw vanished(name)
    last = { name, bytes }
    return bytes
  }
  return {
    segmentBytes: source.map.segmentBytes,
    survey: (stretch, question) => survey({ source, read }, stretch, question),
  }
}

interface SegmentReader {
  readonly source: HeldWal
  /** The segment that begins at `lsn`. */
  read(path: TimelinePath, lsn: Lsn): Promise<Uint8Array>
}

async function survey(
  reader: SegmentReader,
  stretch: WalStretch,
  question: WalQuestion | undefined,
): Promise<WalSurvey> {
  const { segmentBytes } = reader.source.map
  const tally = new Tally(question, reader.source.major)
  const startLsn = segmentFloor(stretch.from, segmentBytes)
  const scanner = new WalScanner({ startLsn, segmentBytes })
  for await (const record of recordsFrom(reader, scanner, { ...stretch, startLsn })) {
    if (record.lsn >= stretch.to) break
    if (record.lsn >= stretch.from) tally.add(record)
  }
  return tally.survey()
}

/** The complete records from the segment at `startLsn` on, until one ends at or behind `to`. */
async function* recordsFrom(
  reader: SegmentReader,
  scanner: WalScanner,
  range: WalStretch & { readonly startLsn: Lsn },
): AsyncGenerator<WalRecord> {
  const { segmentBytes } = reader.source.map
  for (let begin = range.startLsn; begin < range.heldTo;) {
    const held = Math.min(segmentBytes, bytesBetween(begin, range.heldTo))
    const bytes = (await reader.read(range.path, begin)).subarray(0, held)
    for (const piece of pages(bytes)) {
      yield* scanner.push(piece)
      if (scanner.stop !== undefined || scanner.endLsn >= range.to) return
    }
    begin = (begin + BigInt(segmentBytes)) as Lsn
  }
}

/**
 * Pieces that keep the memory of records in flight small, and let a search end early. Whole pages
 * but the last.
 */
function* pages(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES)
}

const PIECE_BYTES = 128 * 1024

/** Gathers what a survey says. */
class Tally {
  readonly #question: WalQuestion | undefined
  readonly #major: number
  #lastRecord: RecordPlace | undefined
  #lastTransaction: TimedPlace | undefined
  #latestTimeUs: bigint | undefined
  #match: FoundPlace | undefined

  constructor(question: WalQuestion | undefined, major: number) {
    this.#question = question
    this.#major = major
  }

  add(record: WalRecord): void {
    const place = { startLsn: record.lsn, endLsn: record.endLsn }
    this.#lastRecord = place
    const event = walEventOf(record, this.#major)
    const timeUs = event !== undefined && 'timeUs' in event ? event.timeUs : undefined
    if (timeUs !== undefined && (event?.kind === 'commit' || event?.kind === 'abort')) {
      this.#addTransaction({ ...place, timeUs })
    }
    if (this.#match === undefined && answers(event, this.#question))
      this.#match = { ...place, timeUs }
  }

  survey(): WalSurvey {
    return {
      lastRecord: this.#lastRecord,
      lastTransaction: this.#lastTransaction,
      latestTimeUs: this.#latestTimeUs,
      match: this.#match,
    }
  }

  #addTransaction(timed: TimedPlace): void {
    this.#lastTransaction = timed
    if (this.#latestTimeUs === undefined || timed.timeUs > this.#latestTimeUs) {
      this.#latestTimeUs = timed.timeUs
    }
  }
}

function answers(event: WalEvent | undefined, question: WalQuestion | undefined): boolean {
  switch (question?.find) {
    case undefined:
      return false
    case 'record':
      return true
    case 'promotion':
      return event?.kind === 'end-of-recovery' || event?.kind === 'shutdown-checkpoint'
    case 'restore-point':
      return event?.kind === 'restore-point' && event.name === question.name
    case 'transaction':
      return isEnd(event) && event.xid === question.xid
    case 'time':
      break
  }
  return isEnd(event) && isAfter(event.timeUs, question)
}

function isAfter(timeUs: bigint, wanted: { timeUs: bigint; orAt: boolean }): boolean {
  return wanted.orAt ? timeUs >= wanted.timeUs : timeUs > wanted.timeUs
}

/** Whether a transaction ended here. */
function isEnd(
  event: WalEvent | undefined,
): event is Extract<WalEvent, { readonly kind: 'commit' | 'abort' }> {
  return event?.kind === 'commit' || event?.kind === 'abort'
}

function nameAt(map: ContinuityMap, path: TimelinePath, lsn: Lsn): string {
  const file = fileTimelineAt(path, map, lsn)
  if (file === undefined) throw new BackstayError('BUG', `No WAL is held at ${formatLsn(lsn)}`)
  const { segmentBytes } = map
  return formatSegmentName(segmentOf(lsn, { ...file, segmentBytes }), segmentBytes)
}

function vanished(name: string): BackstayError {
  return new BackstayError(
    'REPOSITORY_DAMAGED',
    `Cannot read WAL segment "${name}": it is listed but not there`,
  )
}
