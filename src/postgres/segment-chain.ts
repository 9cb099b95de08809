/**
 * Judges whole WAL segments record by record, one after the other: every page header, every link
 * and every CRC, also of the record that crosses from one segment into the next. It is what proves
 * that a segment is right and that two of them belong together.
 *
 * A finished segment ends within a record, at a record's end, or with a switch; what follows a
 * switch is never read and not judged.
 */
import { toLsn } from './lsn.ts'
import { parseSegmentName, type Segment, segmentStart } from './segment-name.ts'
import type { TimelineHistory } from './timeline.ts'
import {
  DEFAULT_WAL_BLOCK_BYTES,
  FIRST_IS_CONTRECORD,
  inspectSegment,
  readWalPageHeader,
  SHORT_HEADER_BYTES,
} from './wal-page.ts'
import { RECORD_ALIGNMENT, type WalRecord } from './wal-record.ts'
import { WalScanner } from './wal-scanner.ts'

/** What all segments of a chain have in common. */
export interface ChainExpectation {
  readonly systemIdentifier?: string
  readonly major?: number
  readonly segmentBytes: number
  /**
   * Ancestry of the timeline that the chain follows: with it each page must be of the timeline its
   * position belongs to.
   */
  readonly history?: TimelineHistory | undefined
  /** Shown every valid record, in order; must not keep it: it is a view into the segment. */
  readonly onRecord?: (record: WalRecord) => void
}

/** A segment by name (24 hex digits) and content (all of it; never changed, not kept). */
export interface NamedSegment {
  readonly name: string
  readonly content: Uint8Array
}

/**
 * Segments in order. After a problem, or a segment that is not the next one, the chain begins anew.
 */
export class SegmentChain {
  readonly #expected: ChainExpectation
  #scanner: WalScanner | undefined
  #next: bigint | undefined

  constructor(expected: ChainExpectation) {
    this.#expected = expected
  }

  /**
   * Judges the next segment and how it joins the one pushed before; of the first, a record that
   * began before it is passed over. Returns what is wrong, in words without full stop.
   */
  push(segment: NamedSegment): string | undefined {
    const { name, content } = segment
    const { identity, problem } = inspectSegment(content, {
      ...this.#expected,
      name,
      fileBytes: content.length,
    })
    const parsed = parseSegmentName(name, this.#expected.segmentBytes)
    if (identity === undefined || parsed === undefined) return this.#fail(problem ?? 'no segment')
    if (this.#next !== parsed.number) this.#scanner = undefined
    this.#scanner ??= this.#begin(segmentStart(parsed, content.length), identity.walBlockBytes)
    return this.#scan(this.#scanner, content) ?? this.#accept(parsed)
  }

  /**
   * Begins the chain with the end of the segment before the first one, so that the record that
   * crosses is checked and the link back compared. Nothing of it is judged; where its end cannot be
   * read the chain begins without it.
   */
  seed(before: NamedSegment): void {
    const parsed = parseSegmentName(before.name, this.#expected.segmentBytes)
    const scanner = scannerAfter(before, this.#expected)
    if (parsed === undefined || scanner === undefined) return
    this.#scanner = scanner
    this.#next = parsed.number + 1n
  }

  #begin(startLsn: ReturnType<typeof toLsn>, walBlockBytes: number): WalScanner {
    const { segmentBytes, history } = this.#expected
    return new WalScanner({ startLsn, segmentBytes, walBlockBytes, history })
  }

  #scan(scanner: WalScanner, content: Uint8Array): string | undefined {
    for (const record of scanner.push(content)) this.#expected.onRecord?.(record)
    return scanner.stop === undefined ? undefined : this.#fail(scanner.stop.problem)
  }

  #accept(segment: Segment): undefined {
    this.#next = segment.number + 1n
  }

  #fail(problem: string): string {
    this.#scanner = undefined
    this.#next = undefined
    return problem
  }
}

/**
 * A scanner that has read the end of a segment and takes what follows it; undefined when that end
 * cannot be read. It knows the last record, and the beginning of one that goes on in the next
 * segment.
 */
export function scannerAfter(
  { name, content }: NamedSegment,
  expected: ChainExpectation,
): WalScanner | undefined {
  const { segmentBytes, history } = expected
  const parsed = parseSegmentName(name, segmentBytes)
  const { identity } = inspectSegment(content, { ...expected, name })
  if (parsed === undefined || identity === undefined) return undefined
  const { walBlockBytes } = identity
  const at = lastRecordPage(content, walBlockBytes)
  const startLsn = toLsn(segmentStart(parsed, segmentBytes) + BigInt(at))
  const scanner = new WalScanner({ startLsn, segmentBytes, walBlockBytes, history })
  for (const _record of scanner.push(content.subarray(at)));
  return scanner.stop === undefined && scanner.firstLsn !== undefined ? scanner : undefined
}

/** What is known beside the segment itself. */
export interface SegmentCheckContext extends ChainExpectation {
  /** The segment before it on the same history, when it is at hand. */
  readonly before?: NamedSegment | undefined
}

/**
 * Judges one finished segment. Returns what is wrong, in words without full stop; undefined when
 * everything in it is right.
 */
export function checkSegment(
  segment: NamedSegment,
  context: SegmentCheckContext,
): string | undefined {
  const { before, ...expected } = context
  const chain = new SegmentChain(expected)
  if (before !== undefined) chain.seed(before)
  return chain.push(segment)
}

/**
 * Offset of the last page on which a record starts: empty pages after a switch, and pages within a
 * long record, are passed.
 */
function lastRecordPage(content: Uint8Array, pageBytes = DEFAULT_WAL_BLOCK_BYTES): number {
  for (let at = content.length - pageBytes; at > 0; at -= pageBytes) {
    const { magic, info, remainingBytes } = readWalPageHeader(content, at)
    if (magic === 0) continue
    const left = (info & FIRST_IS_CONTRECORD) === 0 ? 0 : remainingBytes
    const recordAt = SHORT_HEADER_BYTES + Math.ceil(left / RECORD_ALIGNMENT) * RECORD_ALIGNMENT
    if (recordAt < pageBytes) return at
  }
  return 0
}
