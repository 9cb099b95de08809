/**
 * History files that are held and cannot be used, and which recoveries they stop
 * (docs/adr/0076-a-damaged-history-stops-recovery.md). Pure.
 */
import { formatHistoryName, parseWalFileName } from '../postgres/segment-name.ts'
import type { ContinuityMap } from './continuity.ts'

/**
 * The timeline of a damaged object of `ContinuityMap.damaged`; undefined when it is no history
 * file.
 */
function timelineOf(object: string): number | undefined {
  const file = parseWalFileName(object.slice(object.lastIndexOf('/') + 1).replace(/\.zst$/, ''))
  return file?.kind === 'history' ? file.timeline : undefined
}

/**
 * Names of the damaged history files that a recovery asks for which begins on timeline `from` and
 * follows `to`: of every number in between, and of those that come next, until one is not held.
 */
export function stoppingHistories(
  { damaged = [], histories }: Pick<ContinuityMap, 'damaged' | 'histories'>,
  { from, to }: { readonly from: number; readonly to: number },
): readonly string[] {
  const broken = new Set(damaged.flatMap((object) => timelineOf(object) ?? []))
  let last = to
  while (broken.has(last + 1) || histories.has(last + 1)) last += 1
  return [...broken]
    .filter((timeline) => timeline >= from && timeline <= last)
    .sort((a, b) => a - b)
    .map(formatHistoryName)
}

/**
 * What a damaged object of WAL does, as a sentence without full stop. `object`: as in
 * `ContinuityMap.damaged`.
 */
export function describeDamagedWal(object: string): string {
  const timeline = timelineOf(object)
  if (timeline === undefined) return `"${object}" is damaged and counts as not held`
  return `"${object}" is damaged, and stops every recovery that asks for it; a backup of a server on timeline ${timeline} puts it right, else put the file back from the pg_wal of one that was`
}
