/**
 * Verifies the WAL a backup cannot do without: every segment from its start to its stop is there and is what its name says.
 */
import { isBackstayError } from '../../errors/backstay-error.ts'
import { formatLsn } from '../../postgres/lsn.ts'
import { formatSegmentName, segmentOf, segmentStart } from '../../postgres/segment-name.ts'
import { inspectSegment } from '../../postgres/wal-page.ts'
import type { BackupInfo } from '../../repository/backup-info.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import { rangeAt } from '../../wal/continuity.ts'
import { loadContinuity } from '../../wal/load-continuity.ts'
import type { ReportBuilder } from './report.ts'

/** Adds what is wrong to the report. */
export async function verifyWal(
  cluster: ClusterRepository,
  info: BackupInfo,
  report: ReportBuilder,
): Promise<void> {
  const { timeline, startLsn, stopLsn } = info
  const held = rangeAt(await loadContinuity(cluster), { timeline, lsn: startLsn })
  if (held === undefined || held.endLsn < stopLsn) {
    const from = held === undefined ? startLsn : held.endLsn
    report.problem('wal', `WAL is missing from ${formatLsn(from)} to ${formatLsn(stopLsn)}`)
  }
  const { segmentBytes } = cluster.identity
  let segment = segmentOf(startLsn, { timeline, segmentBytes })
  while (segmentStart(segment, segmentBytes) < stopLsn) {
    await verifySegment(cluster, formatSegmentName(segment, segmentBytes), report)
    segment = { ...segment, number: segment.number + 1n }
  }
}

async function verifySegment(
  cluster: ClusterRepository,
  name: string,
  report: ReportBuilder,
): Promise<void> {
  try {
    const content = await cluster.wal.getSegment(name)
    // Not stored as a whole: the continuity map has said whether that is a hole.
    if (content === undefined) return
    report.counts.walSegments += 1
    const { problem } = inspectSegment(content, {
      ...cluster.identity,
      name,
      fileBytes: content.length,
    })
    if (problem !== undefined) report.problem(cluster.names.walSegment(name), problem)
  } catch (error) {
    if (!isBackstayError(error, 'REPOSITORY_DAMAGED')) throw error
    report.problem(cluster.names.walSegment(name), error.message)
  }
}
