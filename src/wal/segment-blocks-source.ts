/**
 * What a WAL segment changes, wherever that is known from: the map beside the segment, else the
 * segment itself, finished or not, read in a thread. A map that was missing is stored.
 */
import { isBackstayError } from '../errors/backstay-error.ts'
import type { SegmentBlocks } from '../postgres/segment-blocks.ts'
import { formatSegmentName, parseSegmentName } from '../postgres/segment-name.ts'
import type { TimelineHistory } from '../postgres/timeline.ts'
import { decodeSegmentBlocks } from '../repository/block-map-bytes.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { ByteReader } from '../repository/record-bytes.ts'
import { heldBefore } from './judged-segment.ts'
import { type FoundWalFile, readWalFile } from './read-wal-file.ts'
import { SegmentJudge, type SegmentJudgement } from './segment-judge.ts'
import { storedBlocks, tryStoreBlocks } from './stored-blocks.ts'

/** Or why it is not known, as a sentence without full stop. */
export type FoundBlocks =
  | { readonly blocks: SegmentBlocks; readonly reason?: undefined }
  | { readonly blocks?: undefined; readonly reason: string }

/** No record is longer (XLogRecordMaxSize, and what versions before it could write of one). */
const RECORD_BYTES_MAX = 1024 ** 3

interface Judged {
  readonly judgement: SegmentJudgement
  readonly from: FoundWalFile['from']
}

/** Segments of one history, in any order, quickest in their own. One call at a time. */
export class SegmentBlocksSource implements AsyncDisposable {
  readonly #repository: ClusterRepository
  readonly #history: TimelineHistory
  readonly #judge: SegmentJudge

  constructor(repository: ClusterRepository, history: TimelineHistory) {
    this.#repository = repository
    this.#history = history
    this.#judge = new SegmentJudge(repository.identity)
  }

  /**
   * What the records change that end in segment `name` (24 hex digits), of an unfinished one those
   * that are there.
   * @throws {BackstayError} STORE
   */
  async get(name: string): Promise<FoundBlocks> {
    const stored = await storedBlocks(this.#repository, name)
    if (stored !== undefined) return { blocks: stored }
    try {
      return await this.#make(name)
    } catch (error) {
      if (!isBackstayError(error, 'REPOSITORY_DAMAGED')) throw error
      return { reason: error.message }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#judge[Symbol.asyncDispose]()
  }

  async #make(name: string): Promise<FoundBlocks> {
    const judged = await this.#judged(name)
    if (judged === undefined) return { reason: `WAL segment "${name}" is not held` }
    const { judgement, from } = judged
    const { problem, blocks, coverage } = judgement
    // Of an unfinished one the problem is that it ends.
    if (problem !== undefined && from === 'repository') {
      return { reason: `WAL segment "${name}" is damaged: ${problem}` }
    }
    if (blocks === undefined)
      return { reason: `WAL segment "${name}" cannot be mapped: it changes too many relations` }
    if (coverage === 'all' && from === 'repository')
      await tryStoreBlocks(this.#repository, name, blocks)
    return { blocks: decodeSegmentBlocks(new ByteReader(Buffer.from(blocks)), Infinity) }
  }

  /** Goes back to where the record begins that the segment begins with, when it is held. */
  async #judged(name: string): Promise<Judged | undefined> {
    const { segmentBytes } = this.#repository.identity
    let judged = await this.#judgeOne(name)
    for (let back = 1; back * segmentBytes <= RECORD_BYTES_MAX; back *= 2) {
      if (judged === undefined || judged.judgement.coverage !== 'late') return judged
      const names = this.#namesUpTo(name, back)
      const first = names === undefined ? undefined : await this.#judgeOne(names[0] ?? name)
      if (first === undefined || names === undefined) return judged
      for (const each of names.slice(1)) judged = await this.#judgeOne(each)
    }
    return judged
  }

  /** Segment `name` and the `count` before it, as recovery reads them. */
  #namesUpTo(name: string, count: number): string[] | undefined {
    const { segmentBytes } = this.#repository.identity
    const last = parseSegmentName(name, segmentBytes)
    if (last === undefined || last.number < count) return undefined
    return Array.from({ length: count + 1 }, (_, index) =>
      this.nameOf(last.number - BigInt(count - index)),
    )
  }

  /** The segment of this number that recovery reads: of the timeline its last byte belongs to. */
  nameOf(number: bigint): string {
    const { segmentBytes } = this.#repository.identity
    const size = BigInt(segmentBytes)
    const left = this.#history.switches.find(({ switchLsn }) => (number + 1n) * size <= switchLsn)
    const timeline = left?.timeline ?? this.#history.timeline
    return formatSegmentName({ timeline, number }, segmentBytes)
  }

  async #judgeOne(name: string): Promise<Judged | undefined> {
    const file = await readWalFile(this.#repository, name)
    if (file === undefined) return undefined
    const before = (): ReturnType<typeof heldBefore> =>
      heldBefore(this.#repository, name, this.#history)
    const segment = { name, content: file.content }
    const judgement = await this.#judge.judge(segment, { history: this.#history, before })
    return { judgement, from: file.from }
  }
}
