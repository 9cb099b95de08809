/**
 * Which timelines have a history file in a folder. The names are whoever's who may write there, and
 * each may be read: as many as no cluster has are an error of that folder.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { parseWalFileName } from '../postgres/segment-name.ts'

/**
 * One comes with each promotion, and tells of all before it: that of a thousandth timeline has some
 * 40 KB, near what is read of one.
 */
const HISTORIES_MAX = 1000

/**
 * Ascending. `folder`: for the message.
 * @throws FAILED when there are more than `HISTORIES_MAX`.
 */
export function historyTimelines(folder: string, names: readonly string[]): number[] {
  const timelines: number[] = []
  for (const name of names) {
    const file = parseWalFileName(name)
    if (file?.kind === 'history') timelines.push(file.timeline)
  }
  if (timelines.length <= HISTORIES_MAX) return timelines.sort((one, other) => one - other)
  throw new BackstayError(
    'FAILED',
    `Cannot tell the timelines of "${folder}": it holds ${timelines.length} history files, and at most ${HISTORIES_MAX} are looked at`,
    { hint: 'No cluster has been promoted so often: look at them, and at who made them.' },
  )
}
