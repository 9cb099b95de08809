/**
 * What the absence of a WAL file means to a recovery: the end of WAL, or a hole. PostgreSQL takes a
 * file that is not there for the end and opens the database, so a hole must not look like one.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { formatSegmentName, parseSegmentName, type Segment } from '../postgres/segment-name.ts'
import { isAncestor, switchPointOf, type TimelineHistory } from '../postgres/timeline.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { parsePartialName } from '../repository/format.ts'
import { storedHistories } from './held-wal.ts'
import { listSpool } from './recover-spool.ts'
import { spoolOf } from './spool-place.ts'

/**
 * Says why a file that is not held cannot be given.
 * @throws {BackstayError} always: WAL_HOLE for a segment that recovery needs on its way to later
 * WAL that is held, else WAL_MISSING.
 */
export async function refuseAbsent(repository: ClusterRepository, name: string): Promise<never> {
  const segment = parseSegmentName(name, repository.identity.segmentBytes)
  const later = segment === undefined ? undefined : await findLater(repository, segment)
  if (later === undefined) {
    throw new BackstayError('WAL_MISSING', `Cannot get WAL file "${name}": it is not held`)
  }
  throw new BackstayError(
    'WAL_HOLE',
    `Cannot get WAL file "${name}": it is not held, although "${later}" after it is: recovery would end too early`,
  )
}

/**
 * Name of a later segment that is held and that recovery reaches through `segment`; undefined when
 * there is none.
 */
async function findLater(
  repository: ClusterRepository,
  segment: Segment,
): Promise<string | undefined> {
  const { segmentBytes } = repository.identity
  const histories = await storedHistories(repository)
  // Up to 12 recovery asks the newest timeline first, also for segments of before it began.
  const own = histories.find(({ timeline }) => timeline === segment.timeline)
  if (own !== undefined && segment.number < beginningOf(own, segmentBytes)) return undefined
  const held = await laterThan(repository, segment)
  const children = histories.filter(
    (history) => history.timeline !== segment.timeline && isAncestor(history, segment.timeline),
  )
  for (const child of children) {
    const left = switchPointOf(child, segment.timeline) ?? 0n
    const isOnTheWay = left / BigInt(segmentBytes) > segment.number
    if (isOnTheWay) {
      const after = { ...segment, timeline: child.timeline }
      for (const later of await laterThan(repository, after)) held.push(later)
    }
  }
  const first = held.sort((a, b) => Number(a.number - b.number))[0]
  return first && formatSegmentName(first, segmentBytes)
}

function beginningOf(history: TimelineHistory, segmentBytes: number): bigint {
  return (history.switches.at(-1)?.switchLsn ?? 0n) / BigInt(segmentBytes)
}

/** Segments of `after.timeline` behind `after` that are held, finished or not. */
async function laterThan(repository: ClusterRepository, after: Segment): Promise<Segment[]> {
  const { store, names, identity } = repository
  const { segmentBytes } = identity
  const folder = `${names.wal}/${formatSegmentName(after, segmentBytes).slice(0, 8)}`
  const found = (await listSpool(spoolOf(repository))).filter(
    ({ timeline }) => timeline === after.timeline,
  )
  for await (const object of store.list(folder)) {
    const name = parsePartialName(object)?.segment ?? /([0-9A-F]{24})\.zst$/.exec(object)?.[1]
    const segment = name === undefined ? undefined : parseSegmentName(name, segmentBytes)
    if (segment !== undefined) found.push(segment)
  }
  return found.filter(({ number }) => number > after.number)
}
