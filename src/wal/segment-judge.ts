/**
 * Judges received segments record by record in a thread of its own, so that no acknowledgement
 * waits for it. Segments come in order; the thread keeps the end of the last one, so that the
 * record that crosses into the next is checked too.
 */
import { Worker } from 'node:worker_threads'
import { BackstayError } from '../errors/backstay-error.ts'
import type { NamedSegment } from '../postgres/segment-chain.ts'
import { formatSegmentName, parseSegmentName } from '../postgres/segment-name.ts'
import type { TimelineHistory } from '../postgres/timeline.ts'
import type { ClusterIdentity } from '../repository/cluster-repository.ts'
import type { BlocksCoverage } from './blocks-coverage.ts'
import type { WalLevelChange } from '../postgres/wal-level-change.ts'

// In a checkout the program runs from .ts files, in a package from .js files.
const WORKER_FILE = new URL(
  import.meta.url.endsWith('.ts') ? './segment-judge-worker.ts' : './segment-judge-worker.js',
  import.meta.url,
)
/** Most segments take a few megabytes; one that changes 100,000 relations takes a hundred. */
const LIMITS = { maxYoungGenerationSizeMb: 16, maxOldGenerationSizeMb: 192 } as const

/** What the thread is asked. Contents are shared memory, or copied. */
export interface JudgeRequest {
  readonly segment: NamedSegment
  /** The segment before it; left out when that was the last one judged, or is not at hand. */
  readonly before?: NamedSegment | undefined
  /** Whether the segment follows the last one judged. */
  readonly follows: boolean
  readonly history: TimelineHistory | undefined
}

/** What the thread answers. */
export interface SegmentJudgement {
  /** In words without full stop; undefined when everything in the segment is right. */
  readonly problem: string | undefined
  readonly walLevels: readonly WalLevelChange[]
  /**
   * What the records change that end in the segment, up to the problem if there is one, encoded;
   * undefined when it would be too large to be stored.
   */
  readonly blocks: Uint8Array | undefined
  /** Without `all`, something of the segment is not in `blocks`, or no record ends in it. */
  readonly coverage: BlocksCoverage
}

/** What is known beside the segment. */
export interface JudgeContext {
  readonly history: TimelineHistory | undefined
  /** Gets the segment before it, when that was not the last one judged. */
  readonly before: () => Promise<NamedSegment | undefined>
}

/** The thread; started with the first segment. One call of `judge` at a time. */
export class SegmentJudge implements AsyncDisposable {
  readonly #identity: ClusterIdentity
  #worker: Worker | undefined
  #last: string | undefined

  constructor(identity: ClusterIdentity) {
    this.#identity = identity
  }

  /**
   * Judges one segment; its content must not change meanwhile.
   * @throws {BackstayError} BUG when the thread failed.
   */
  async judge(segment: NamedSegment, context: JudgeContext): Promise<SegmentJudgement> {
    const follows = this.#last !== undefined && this.#nameAfter(this.#last) === segment.name
    this.#last = undefined
    const { history } = context
    const before = follows ? undefined : await context.before()
    const judgement = await this.#ask({ segment, before, follows, history })
    if (judgement.problem === undefined) this.#last = segment.name
    return judgement
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker?.terminate()
  }

  #nameAfter(name: string): string | undefined {
    const { segmentBytes } = this.#identity
    const segment = parseSegmentName(name, segmentBytes)
    return segment && formatSegmentName({ ...segment, number: segment.number + 1n }, segmentBytes)
  }

  #ask(request: JudgeRequest): Promise<SegmentJudgement> {
    const worker = (this.#worker ??= this.#start())
    return new Promise((resolve, reject) => {
      const fail = (why: string, cause?: unknown): void => {
        this.#worker = undefined
        const message = `The thread that judges WAL segments failed: ${why}`
        reject(new BackstayError('BUG', message, { cause }))
      }
      worker.removeAllListeners()
      worker.once('message', resolve)
      worker.once('error', (error) => fail(error.message, error))
      worker.once('exit', (code) => fail(`it ended with code ${code}`))
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- threads have no origin
      worker.postMessage(request)
    })
  }

  #start(): Worker {
    const worker = new Worker(WORKER_FILE, {
      workerData: this.#identity,
      resourceLimits: LIMITS,
    })
    // An idle thread does not keep the program running.
    worker.unref()
    return worker
  }
}
