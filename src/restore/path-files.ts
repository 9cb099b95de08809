/**
 * Which WAL files recovery reads along a path. Pure.
 */
import { addBytes, type Lsn } from '../postgres/lsn.ts'
import { formatHistoryName, formatSegmentName, segmentOf } from '../postgres/segment-name.ts'
import type { PathPart, TimelinePath } from './timeline-path.ts'

/** Along which timelines, and where the WAL it reads ends. */
export interface WalWay {
  readonly path: TimelinePath
  readonly wal: { readonly endLsn: Lsn }
}

/** Names of the history files and segments along the plan's path. Pure. */
export function walFilesOf(plan: WalWay, segmentBytes: number): readonly string[] {
  return plan.path.flatMap((part) => [
    ...(part.timeline > 1 ? [formatHistoryName(part.timeline)] : []),
    ...segmentsOf(part, plan.wal.endLsn, segmentBytes),
  ])
}

function segmentsOf(part: PathPart, walEnd: Lsn, segmentBytes: number): string[] {
  const { timeline } = part
  const end = part.to === undefined || walEnd < part.to ? walEnd : part.to
  if (end < part.from) return []
  const first = segmentOf(part.from, { timeline, segmentBytes }).number
  const last = segmentOf(end > part.from ? addBytes(end, -1) : end, { timeline, segmentBytes })
  const count = Number(last.number - first) + 1
  return Array.from({ length: count }, (_, index) =>
    formatSegmentName({ timeline, number: first + BigInt(index) }, segmentBytes),
  )
}
