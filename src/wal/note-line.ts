/**
 * Records where production is seen, and keeps that up to date while WAL is received from it.
 */
import type { TimelineHistory } from '../postgres/timeline.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { type LineWitness, readLines, recordLine } from '../repository/line-records.ts'
import { mayBeProduction } from './production-line.ts'

/**
 * A branch that is not known when its line is recorded cannot be told from a continuation for so
 * long.
 */
const LOOK_INTERVAL_MS = 10_000

/** Records that production is on `history.timeline`, unless it is a line that production left. */
export async function noteLine(
  repository: ClusterRepository,
  history: TimelineHistory,
  by: LineWitness,
): Promise<void> {
  if (mayBeProduction(history, await readLines(repository)) === false) return
  const known = await timelinesHeld(repository)
  await recordLine(repository, { timeline: history.timeline, known, by })
}

/**
 * Records again whenever a timeline appears, until `signal` aborts. Never throws: the next look
 * does it.
 */
export async function watchLine(
  repository: ClusterRepository,
  history: TimelineHistory,
  signal: AbortSignal,
): Promise<void> {
  let before = ''
  while (!signal.aborted) {
    try {
      const known = (await timelinesHeld(repository)).join()
      if (known !== before) await noteLine(repository, history, 'receiver')
      before = known
    } catch {
      // A repository that cannot be read fails what is received as well, and is told there.
    }
    await repository.clock.sleep(LOOK_INTERVAL_MS, signal).catch(() => undefined)
  }
}

/** Timelines of which there is WAL or a history file. */
export async function timelinesHeld({ wal }: Pick<ClusterRepository, 'wal'>): Promise<number[]> {
  const folders = (await wal.listTimelines()).map((name) => Number.parseInt(name, 16))
  return [...new Set([...folders, ...(await wal.listHistories())])].filter((one) => one > 0)
}
