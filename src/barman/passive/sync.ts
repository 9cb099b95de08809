/**
 * Keeps a passive server's part of the repository like the primary's. A backup is listed when all
 * its objects and its WAL are here and were read through.
 */
import { verifyBackup } from '../../backup/verify/verify-backup.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { parseSegmentName, type Segment } from '../../postgres/segment-name.ts'
import type { BackupId, BackupInfo, CataloguedBackup } from '../../repository/backup-info.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import { copyObject } from '../../repository/copy.ts'
import { collectGarbage, discardBackup } from '../../repository/garbage.ts'
import { takeLock } from '../../repository/lock.ts'
import { rangeAt } from '../../wal/continuity.ts'
import { loadContinuity } from '../../wal/load-continuity.ts'
import { copyWal, gone, type PassivePair } from './pair-up.ts'

/** Copies WAL that is not held. Returns how many files came. */
export async function syncWal(pair: PassivePair): Promise<number> {
  const lock = { name: 'sync-wal', mode: 'exclusive', purpose: 'copying WAL' } as const
  await using _lock = await takeLock(pair.cluster, lock)
  return await copyWal(pair, (file) => !pair.unneeded.has(file))
}

/** Copies one backup and the WAL that makes it consistent, and lists it. */
export async function syncBackup(pair: PassivePair, { info }: CataloguedBackup): Promise<void> {
  const { cluster, context } = pair
  const purpose = `copying backup ${info.id}`
  await using _lock = await takeLock(cluster, { name: 'catalogue', mode: 'exclusive', purpose })
  await collectGarbage(cluster)
  await requireSizes(pair, info)
  await copyOwnWal(pair, info)
  try {
    await copyData(pair, info)
    await verify(cluster, info.id, context.signal)
  } catch (error) {
    // What cannot be removed now is removed by the next copy; the reason of the failure matters
    // more.
    await discardBackup(cluster, info.id).catch(() => undefined)
    context.signal.throwIfAborted()
    throw error
  }
}

async function copyOwnWal(pair: PassivePair, info: BackupInfo): Promise<void> {
  const { segmentBytes } = pair.cluster.identity
  await copyWal(pair, (file) => {
    const segment = parseSegmentName(file, segmentBytes)
    return segment !== undefined && isOwn(segment, info, segmentBytes)
  })
  const position = { timeline: info.timeline, lsn: info.startLsn }
  const held = rangeAt(await loadContinuity(pair.cluster), position)
  if (held !== undefined && held.endLsn >= info.stopLsn) return
  throw new BackstayError(
    'WAL_UNAVAILABLE',
    `Cannot copy backup ${info.id}: the WAL it needs is not held by the primary`,
  )
}

/** Whether the backup is not consistent without it. */
function isOwn(segment: Segment, info: BackupInfo, segmentBytes: number): boolean {
  const start = segment.number * BigInt(segmentBytes)
  const isAfter = start + BigInt(segmentBytes) > info.startLsn
  return segment.timeline === info.timeline && isAfter && start < info.stopLsn
}

/** What lists it comes last. */
async function copyData(
  { context, shell, primary, cluster }: PassivePair,
  info: BackupInfo,
): Promise<void> {
  const { store, names } = cluster
  const needed = [...info.packs.map((pack) => names.pack(pack.name)), names.manifest(info.id)]
  const copy = async (object: string): Promise<boolean> => {
    context.signal.throwIfAborted()
    return (await store.size(object)) !== undefined || copyObject(primary.store, store, object)
  }
  for (const object of needed) if (!(await copy(object))) throw gone(shell, object)
  await copy(names.keep(info.id))
  const listed = names.backupInfo(info.id)
  if (!(await copy(listed))) throw gone(shell, listed)
}

/** What is longer than its backup says would fill the disk before it is found to be wrong. */
async function requireSizes({ primary }: PassivePair, info: BackupInfo): Promise<void> {
  const { store, names } = primary
  const said = new Map(info.packs.map((pack) => [names.pack(pack.name), pack.storedBytes]))
  said.set(names.manifest(info.id), info.manifest.storedBytes)
  for (const [object, storedBytes] of said) {
    const sizeBytes = await store.size(object)
    if (sizeBytes === undefined || sizeBytes === storedBytes) continue
    throw new BackstayError(
      'REPOSITORY_DAMAGED',
      `Cannot copy "${object}": it has ${sizeBytes} bytes, and its backup says ${storedBytes}`,
    )
  }
}

async function verify(
  cluster: ClusterRepository,
  id: BackupId,
  signal: AbortSignal,
): Promise<void> {
  const sinceMs = undefined
  const options = { samplePercent: 100, seed: 0, sinceMs, signal, onProgress: () => {} }
  const { isGood, problems } = await verifyBackup(cluster, id, options)
  if (isGood) return
  const [first] = problems
  throw new BackstayError(
    'REPOSITORY_DAMAGED',
    `Backup ${id} was copied and is not right: "${first?.subject}": ${first?.problem}`,
  )
}
