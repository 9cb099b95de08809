/**
 * Holes that retention answers for, as one durable object (docs/repository-format.md §9): written
 * before the WAL goes, so that a hole is never taken for a loss, whenever the process dies.
 */
import { formatLsn, type Lsn, parseLsn } from '../postgres/lsn.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { putSealed, readSealed } from '../repository/sealed-object.ts'
import type { WalRange } from './wal-position.ts'

/** The ranges of the newest object; none without one. @throws {BackstayError} REPOSITORY_DAMAGED */
export async function readReleased({
  store,
  names,
}: ClusterRepository): Promise<readonly WalRange[]> {
  const newest = (await store.listObjects(names.released)).toSorted().at(-1)
  const value = newest && (await readSealed(store, `${names.released}/${newest}`))
  const ranges = value ? value['ranges'] : []
  return Array.isArray(ranges) ? ranges.flatMap((range: unknown) => rangeOf(range) ?? []) : []
}

/** Replaces what was released before. Nothing is written when it says the same. */
export async function releaseWal(
  repository: ClusterRepository,
  ranges: readonly WalRange[],
): Promise<void> {
  const { store, names, clock } = repository
  const before = await readReleased(repository)
  if (describe(before) === describe(ranges)) return
  const older = (await store.listObjects(names.released)).toSorted()
  const at = new Date(clock.now()).toISOString()
  const name = nameAfter(older.at(-1), at.replace(/[-:.Z]/g, ''))
  await putSealed(store, `${names.released}/${name}`, { at, ranges: ranges.map(spell) })
  for (const object of older) await store.delete(`${names.released}/${object}`)
}

/** A name that sorts behind the newest one, whatever the clock says. */
function nameAfter(newest: string | undefined, time: string): string {
  if (newest === undefined || `${time}.json` > newest) return `${time}.json`
  return newest.replace(/\.json$/, '0.json')
}

/** The parts of `ranges` that none of `taken` covers, ascending on each timeline. Pure. */
export function without(ranges: readonly WalRange[], taken: readonly WalRange[]): WalRange[] {
  return taken.reduce<WalRange[]>(
    (left, cut) =>
      left.flatMap((range) => {
        if (cut.timeline !== range.timeline) return [range]
        if (cut.endLsn <= range.startLsn || range.endLsn <= cut.startLsn) return [range]
        const before = { ...range, endLsn: cut.startLsn }
        const after = { ...range, startLsn: cut.endLsn }
        return [before, after].filter(({ startLsn, endLsn }) => startLsn < endLsn)
      }),
    [...ranges],
  )
}

function describe(ranges: readonly WalRange[]): string {
  return JSON.stringify(ranges.map(spell))
}

function spell({ timeline, startLsn, endLsn }: WalRange): Readonly<Record<string, unknown>> {
  return { timeline, startLsn: formatLsn(startLsn), endLsn: formatLsn(endLsn) }
}

function rangeOf(value: unknown): WalRange | undefined {
  const range = value as Partial<Record<'timeline' | 'startLsn' | 'endLsn', unknown>> | null
  const [startLsn, endLsn] = [lsnOf(range?.startLsn), lsnOf(range?.endLsn)]
  const timeline = Number(range?.timeline)
  if (startLsn === undefined || endLsn === undefined || !(timeline > 0)) return undefined
  return { timeline, startLsn, endLsn }
}

function lsnOf(value: unknown): Lsn | undefined {
  return typeof value === 'string' ? parseLsn(value) : undefined
}
