/**
 * Cuts a backup's files into jobs for the workers: large files into stretches, small ones into
 * batches. Pure.
 */
import type { Extent, ManifestFile } from '../repository/manifest-entry.ts'
import type { CheckJob, FileJob } from './worker-job.ts'

/** A stretch holds at most this much, so that workers share a large file evenly. */
const STRETCH_BYTES = 64 * 1024 * 1024

/**
 * The jobs that write `file` to `path`, one for each stretch of at most `stretchBytes`. At least
 * one.
 */
export function cutFile(
  file: ManifestFile,
  path: string,
  options: { readonly isDelta: boolean; readonly stretchBytes?: number },
): readonly FileJob[] {
  const stretches = cutExtents(file.extents, options.stretchBytes ?? STRETCH_BYTES)
  const isWhole = stretches.length === 1
  return stretches.map(({ position, extents }) => ({
    path,
    mode: file.mode,
    modifiedAtMs: file.modifiedAtMs,
    sizeBytes: file.sizeBytes,
    position,
    extents,
    how: options.isDelta ? 'correct' : isWhole ? 'create' : 'fill',
    expectedCrc32c: isWhole ? file.crc32c : undefined,
  }))
}

/** The jobs that compute the CRC of the same stretches of what is there. */
export function checksOf(jobs: readonly FileJob[]): readonly CheckJob[] {
  return jobs.map((job) => ({
    how: 'check',
    path: job.path,
    position: job.position,
    length: lengthOf(job),
  }))
}

/** Bytes of the stretch. */
export function lengthOf(job: { readonly extents: readonly Extent[] }): number {
  return job.extents.reduce((sum, extent) => sum + extent.length, 0)
}

interface CutStretch {
  readonly position: number
  readonly extents: Extent[]
}

function cutExtents(extents: readonly Extent[], stretchBytes: number): CutStretch[] {
  const stretches: CutStretch[] = [{ position: 0, extents: [] }]
  let position = 0
  let bytes = 0
  for (const extent of extents.flatMap((whole) => cutZeros(whole, stretchBytes))) {
    if (bytes > 0 && bytes + extent.length > stretchBytes) {
      stretches.push({ position, extents: [] })
      bytes = 0
    }
    stretches.at(-1)?.extents.push(extent)
    position += extent.length
    bytes += extent.length
  }
  return stretches
}

/** Only an extent of zeros can be longer than a unit. */
function cutZeros(extent: Extent, stretchBytes: number): Extent[] {
  if (extent.unit !== undefined || extent.length <= stretchBytes) return [extent]
  const whole = Math.floor(extent.length / stretchBytes)
  const pieces = Array.from({ length: whole }, () => ({ ...extent, length: stretchBytes }))
  const rest = extent.length - whole * stretchBytes
  return rest === 0 ? pieces : [...pieces, { ...extent, length: rest }]
}
