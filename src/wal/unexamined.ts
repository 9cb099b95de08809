/**
 * WAL that was stored by a version that did not look for wal_level = minimal in it: examined when a
 * restore needs it, or all of it once.
 */
import { isBackstayError } from '../errors/backstay-error.ts'
import { parameterChangesIn } from '../postgres/parameter-change.ts'
import { formatSegmentName, parseSegmentName, segmentStart } from '../postgres/segment-name.ts'
import { type WalLevelChange, walLevelChangeOf } from '../postgres/wal-level-change.ts'
import { DEFAULT_WAL_BLOCK_BYTES } from '../postgres/wal-page.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { putSealed } from '../repository/sealed-object.ts'
import type { ContinuityMap } from './continuity.ts'
import { unlessDamaged } from './held-wal.ts'
import { readWalFile } from './read-wal-file.ts'
import { without } from './released-wal.ts'
import { recordMinimal } from './wal-level.ts'
import type { WalRange } from './wal-position.ts'

/** Whether some of the WAL held may not have been examined. */
export async function hasUnexamined({ store, names }: ClusterRepository): Promise<boolean> {
  return (await store.size(names.examined)) === undefined
}

/**
 * Places in these segments (24 hex digits each) that recovery cannot pass. What is damaged or not
 * held says nothing.
 */
export async function findMinimal(
  repository: ClusterRepository,
  names: Iterable<string> | AsyncIterable<string>,
  signal?: AbortSignal,
): Promise<readonly WalRange[]> {
  const found: WalRange[] = []
  for await (const name of names) {
    signal?.throwIfAborted()
    const timeline = Number.parseInt(name.slice(0, 8), 16)
    for (const { lsn, endLsn, walLevel } of await changesIn(repository, name)) {
      if (walLevel === 'minimal') found.push({ timeline, startLsn: lsn, endLsn })
    }
  }
  return found
}

async function changesIn(
  repository: ClusterRepository,
  name: string,
): Promise<readonly WalLevelChange[]> {
  const { segmentBytes, major } = repository.identity
  const segment = parseSegmentName(name, segmentBytes)
  const bytes = await contentOf(repository, name)
  if (segment === undefined || bytes === undefined) return []
  const next = formatSegmentName({ ...segment, number: segment.number + 1n }, segmentBytes)
  const following = (await contentOf(repository, next))?.subarray(0, DEFAULT_WAL_BLOCK_BYTES)
  const startLsn = segmentStart(segment, segmentBytes)
  return parameterChangesIn({ bytes, startLsn, segmentBytes, following }).flatMap(
    (record) => walLevelChangeOf(record, major) ?? [],
  )
}

async function contentOf(repository: ClusterRepository, name: string): Promise<Buffer | undefined> {
  return await unlessDamaged(async () => (await readWalFile(repository, name))?.content)
}

/**
 * Examines everything that is held, records what it finds and that it was done.
 * @throws {BackstayError} STORE, HOST_PRIVILEGE
 */
export async function examineHeld(
  repository: ClusterRepository,
  signal?: AbortSignal,
): Promise<void> {
  const { store, names, clock, wal } = repository
  const at = new Date(clock.now()).toISOString()
  for (const folder of await wal.listTimelines()) {
    await recordBarriers(
      repository,
      await findMinimal(repository, wal.listSegments(folder), signal),
    )
  }
  await putSealed(store, names.examined, { at })
}

async function recordBarriers(
  repository: ClusterRepository,
  barriers: readonly WalRange[],
): Promise<void> {
  for (const { timeline, startLsn, endLsn } of barriers) {
    await recordMinimal(repository, timeline, [{ lsn: startLsn, endLsn, walLevel: 'minimal' }])
  }
}

/** Records them where that is allowed: who only reads has to know of them all the same. */
export async function tryRecordBarriers(
  repository: ClusterRepository,
  barriers: readonly WalRange[],
): Promise<void> {
  try {
    await recordBarriers(repository, barriers)
  } catch (error) {
    if (!isBackstayError(error)) throw error
  }
}

/** The map with holes at these places. */
export function withBarriers(map: ContinuityMap, barriers: readonly WalRange[]): ContinuityMap {
  const ranges = [...map.ranges].map(
    ([timeline, held]) => [timeline, without(held, barriers)] as const,
  )
  return { ...map, ranges: new Map(ranges) }
}
