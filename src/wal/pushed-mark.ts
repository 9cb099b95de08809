/**
 * Which WAL came by a database server's key and was not seen by the receiver yet
 * (docs/repository-format.md §8). Such WAL is as good as any other until the primary itself streams
 * something else under its name.
 */
import { addBytes, type Lsn } from '../postgres/lsn.ts'
import { formatSegmentName, segmentOf } from '../postgres/segment-name.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { putSealed, readSealed } from '../repository/sealed-object.ts'
import type { PutOutcome } from '../store/store.ts'
import { unlessDamaged } from './held-wal.ts'
import { segmentFloor } from './wal-position.ts'

/** Whose key it came with. */
export interface PushedBy {
  readonly server: string
  /**
   * Whether a primary answered then, and was this server. What came without is taken for the time
   * being.
   */
  readonly isAsked: boolean
}

/**
 * Marks segment or history file `name` as pushed; before it is stored, so that none is there
 * without.
 */
export async function markPushed(
  { store, names, clock }: ClusterRepository,
  name: string,
  { server, isAsked }: PushedBy,
): Promise<PutOutcome> {
  const pushedAt = new Date(clock.now()).toISOString()
  const mark = { name, server, pushedAt, ...(isAsked ? {} : { provisional: true }) }
  return await putSealed(store, names.walPushed(name), mark)
}

/** Whether `name` came while no primary answered, and none has had the same since. */
export async function isProvisional(
  { store, names }: ClusterRepository,
  name: string,
): Promise<boolean> {
  const value = await unlessDamaged(async () => readSealed(store, names.walPushed(name)))
  return value?.['provisional'] === true
}

/** The primary that was asked has the same: the mark says so from now on. */
export async function confirmPushed(
  repository: ClusterRepository,
  name: string,
  server: string,
): Promise<void> {
  if (!(await isProvisional(repository, name))) return
  await clearPushed(repository, name)
  await markPushed(repository, name, { server, isAsked: true })
}

/** The receiver has the same, or has put its own in the place. */
export async function clearPushed(
  { store, names }: ClusterRepository,
  name: string,
): Promise<void> {
  await store.delete(names.walPushed(name))
}

/**
 * The server that pushed `name`; `?` when the mark cannot be read; undefined when the receiver has
 * seen it.
 */
export async function pushedBy(
  { store, names }: ClusterRepository,
  name: string,
): Promise<string | undefined> {
  const mark = names.walPushed(name)
  if ((await store.size(mark)) === undefined) return undefined
  const value = await unlessDamaged(async () => readSealed(store, mark))
  const server = value?.['server']
  return typeof server === 'string' ? server : '?'
}

/** A stretch of one timeline, of which WAL is held to `endLsn`. */
interface TimelineStretch {
  readonly timeline: number
  /** Where the server can still begin. */
  readonly fromLsn: Lsn
  readonly endLsn: Lsn
}

/**
 * Where of what is held the receiver's own WAL ends: pushed segments at its end are received too
 * while the server has them.
 */
export async function ownEnd(
  repository: ClusterRepository,
  { timeline, fromLsn, endLsn }: TimelineStretch,
): Promise<Lsn> {
  const { segmentBytes } = repository.identity
  const floor = segmentFloor(fromLsn, segmentBytes)
  let end = endLsn
  while (end > floor && end === segmentFloor(end, segmentBytes)) {
    const last = segmentOf(addBytes(end, -1), { timeline, segmentBytes })
    if ((await pushedBy(repository, formatSegmentName(last, segmentBytes))) === undefined) break
    end = addBytes(end, -segmentBytes)
  }
  return end
}
