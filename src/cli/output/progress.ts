/**
 * How far a task is, in one line: bytes, rate and the time that is left.
 */
import { formatDuration } from '../../util/duration.ts'
import { formatSize } from '../../util/size.ts'

/** A moment of a task. */
export interface TaskProgress {
  readonly doneBytes: number
  /** Undefined while nobody knows. */
  readonly totalBytes: number | undefined
  readonly elapsedMs: number
}

const BAR_CELLS = 20

/**
 * `█████░░░░░  50 %  1.2 GB of 2.4 GB  680.0 MB/s  2 s left`; without a total only bytes and rate.
 */
export function renderProgress({ doneBytes, totalBytes, elapsedMs }: TaskProgress): string {
  const bytesPerMs = elapsedMs > 0 ? doneBytes / elapsedMs : 0
  const rate = `${formatSize(bytesPerMs * 1000)}/s`
  if (totalBytes === undefined || totalBytes <= 0) return `${formatSize(doneBytes)}  ${rate}`
  // The total is an estimate for a base backup: more can come than was announced.
  const share = Math.min(1, doneBytes / totalBytes)
  const parts = [
    `${bar(share)} ${String(Math.floor(share * 100)).padStart(3)} %`,
    `${formatSize(doneBytes)} of ${formatSize(totalBytes)}`,
    rate,
  ]
  const leftMs = (totalBytes - doneBytes) / bytesPerMs
  if (bytesPerMs > 0 && leftMs > 0) parts.push(`${formatDuration(leftMs)} left`)
  return parts.join('  ')
}

function bar(share: number): string {
  const filled = Math.floor(share * BAR_CELLS)
  return '█'.repeat(filled) + '░'.repeat(BAR_CELLS - filled)
}
