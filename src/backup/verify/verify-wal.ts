/**
 * Verifies the WAL a backup rests on: everything from its start to the last moment it can be rolled
 * forward to is read and judged record by record, and each segment must follow the one before it.
 */
import { isBackstayError } from '../../errors/backstay-error.ts'
import { addBytes, formatLsn, type Lsn } from '../../postgres/lsn.ts'
import { type NamedSegment, SegmentChain } from '../../postgres/segment-chain.ts'
import {
  formatSegmentName,
  type Segment,
  segmentOf,
  segmentStart,
} from '../../postgres/segment-name.ts'
import { type TimelineHistory, timelineOf } from '../../postgres/timeline.ts'
import type { BackupInfo } from '../../repository/backup-info.ts'
import { listBackups } from '../../repository/catalogue.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import { type ContinuityMap, historyOf, rangeAt, recoverableWindows } from '../../wal/continuity.ts'
import { stoppingHistories } from '../../wal/damaged-histories.ts'
import { loadContinuity } from '../../wal/load-continuity.ts'
import { loadLines } from '../../wal/load-lines.ts'
import type { WalPosition } from '../../wal/wal-position.ts'
import { isOwnWal } from '../own-wal.ts'
import type { ReportBuilder } from './report.ts'

/** Adds what is wrong to the report. @throws the signal's reason */
export async function verifyWal(
  cluster: ClusterRepository,
  info: BackupInfo,
  { report, signal }: { readonly report: ReportBuilder; readonly signal: AbortSignal },
): Promise<void> {
  const { timeline, startLsn, stopLsn } = info
  const map = await loadContinuity(cluster)
  const held = rangeAt(map, { timeline, lsn: startLsn })
  if (held === undefined || held.endLsn < stopLsn) {
    const from = held === undefined ? startLsn : held.endLsn
    report.problem('wal', `WAL is missing from ${formatLsn(from)} to ${formatLsn(stopLsn)}`)
  }
  const backups = (await listBackups(cluster)).map((backup) => backup.info)
  const { current } = await loadLines(cluster, map, backups)
  const to = endOf(map, info, current)
  tellHistories({ cluster, info, report, map }, to.timeline)
  const way = wayOf(info, map, to)
  const reading = new WalReading(cluster, info, report)
  for (const segment of way) {
    signal.throwIfAborted()
    await reading.verify(formatSegmentName(segment, cluster.identity.segmentBytes), segment.history)
  }
}

/**
 * Recovery cannot be told that a damaged history is not there, so it stops where it asks for one.
 */
function tellHistories({ cluster: { names }, info, report, map }: VerifiedWay, goal: number): void {
  for (const name of stoppingHistories(map, { from: info.timeline, to: goal })) {
    const object = names.walHistory(Number.parseInt(name, 16))
    report.problem(object, 'it is damaged, and recovery that asks for it stops')
  }
}

interface VerifiedWay {
  readonly cluster: ClusterRepository
  readonly info: BackupInfo
  readonly report: ReportBuilder
  readonly map: ContinuityMap
}

/** The segments that a recovery of the backup to its last moment reads, in order. */
function* wayOf(
  info: BackupInfo,
  map: ContinuityMap,
  to: WalPosition,
): Generator<Segment & { readonly history: TimelineHistory | undefined }> {
  const { segmentBytes } = map
  const history = historyOf(map, to.timeline)
  let at = segmentOf(info.startLsn, { timeline: info.timeline, segmentBytes }).number
  for (; segmentStart({ timeline: 0, number: at }, segmentBytes) < to.lsn; at += 1n) {
    // The segment that holds a switch is read from the newer timeline.
    const end = addBytes(segmentStart({ timeline: 0, number: at }, segmentBytes), segmentBytes - 1)
    const last: Lsn = end < to.lsn ? end : addBytes(to.lsn, -1)
    const timeline = history === undefined ? info.timeline : timelineOf(history, last)
    yield { timeline, number: at, history }
  }
}

/** Along the line production is on, if the backup leads there. */
function endOf(
  map: ContinuityMap,
  info: BackupInfo,
  lines: readonly TimelineHistory[],
): WalPosition {
  const [window] = recoverableWindows([info], map, lines)
  return window?.to ?? { timeline: info.timeline, lsn: info.stopLsn }
}

/**
 * What was found of a segment together with the one before it; several backups rest on the same
 * WAL.
 */
const JUDGED = new WeakMap<ClusterRepository, Map<string, string | undefined>>()

/** Reads one backup's segments in order. */
class WalReading {
  readonly #cluster: ClusterRepository
  readonly #info: BackupInfo
  readonly #report: ReportBuilder
  readonly #judged: Map<string, string | undefined>
  #chain: SegmentChain | undefined
  #last: string | undefined

  constructor(cluster: ClusterRepository, info: BackupInfo, report: ReportBuilder) {
    this.#cluster = cluster
    this.#info = info
    this.#report = report
    this.#judged = JUDGED.get(cluster) ?? new Map<string, string | undefined>()
    JUDGED.set(cluster, this.#judged)
  }

  async verify(name: string, history: TimelineHistory | undefined): Promise<void> {
    const isKnown = this.#last !== undefined && this.#judged.has(name)
    const problem = isKnown ? this.#judged.get(name) : await this.#judge(name, history)
    if (problem !== 'absent') this.#report.counts.walSegments += 1
    if (problem !== undefined && problem !== 'absent') this.#tell(name, problem)
    if (isKnown) this.#chain = undefined
    else if (this.#last !== undefined) this.#judged.set(name, problem)
    this.#last = name
  }

  #tell(name: string, problem: string): void {
    const { names, identity } = this.#cluster
    const subject = names.walSegment(name)
    const isOwn = isOwnWal(name, this.#info, identity.segmentBytes)
    if (isOwn) this.#report.damaged(subject, problem, { wal: name })
    else this.#report.problem(subject, problem)
  }

  /**
   * What is wrong; `absent` when it is not stored as a whole: the continuity map has said whether
   * that is a hole.
   */
  async #judge(name: string, history: TimelineHistory | undefined): Promise<string | undefined> {
    try {
      this.#chain ??= await this.#begin(history)
      const content = await this.#cluster.wal.getSegment(name)
      return content === undefined ? 'absent' : this.#chain.push({ name, content })
    } catch (error) {
      if (!isBackstayError(error, 'REPOSITORY_DAMAGED')) throw error
      return error.message
    }
  }

  /** A chain that goes on after the last segment, which was judged for another backup. */
  async #begin(history: TimelineHistory | undefined): Promise<SegmentChain> {
    const { systemIdentifier, major, segmentBytes } = this.#cluster.identity
    const chain = new SegmentChain({ systemIdentifier, major, segmentBytes, history })
    const before = await this.#readLast()
    if (before !== undefined) chain.seed(before)
    return chain
  }

  async #readLast(): Promise<NamedSegment | undefined> {
    const name = this.#last
    if (name === undefined || this.#judged.get(name) !== undefined) return undefined
    const content = await this.#cluster.wal.getSegment(name)
    return content && { name, content }
  }
}
