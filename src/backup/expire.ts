/**
 * Carries out retention and deletion: backup.json first, then what nothing needs any more.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { formatSegmentName, parseSegmentName, type Segment } from '../postgres/segment-name.ts'
import type { BackupId, CataloguedBackup } from '../repository/backup-info.ts'
import { checkReadable, readCatalogue } from '../repository/catalogue.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { collectGarbage, type CollectedGarbage } from '../repository/garbage.ts'
import { findLocks, type HeldLock, takeLock } from '../repository/lock.ts'
import { backupLockName } from '../repository/use-backup.ts'
import { storedHistories } from '../wal/held-wal.ts'
import {
  type ExpiryPlan,
  planDeletion,
  planExpiry,
  type RetentionFacts,
  type RetentionPolicy,
} from './retention.ts'

/** What went. */
export interface ExpiryResult {
  readonly plan: ExpiryPlan
  readonly garbage: CollectedGarbage
}

/** What would go, and why. Changes nothing and takes no lock. */
export async function planClusterExpiry(
  cluster: ClusterRepository,
  policy: RetentionPolicy,
): Promise<ExpiryPlan> {
  return planExpiry(await gatherFacts(cluster), policy)
}

/**
 * Removes what the policy lets go.
 * @throws {BackstayError} REPOSITORY_LOCKED while a backup is taken, REPOSITORY_DAMAGED when what a backup needs cannot be read.
 */
export async function expireCluster(
  cluster: ClusterRepository,
  policy: RetentionPolicy,
): Promise<ExpiryResult> {
  await using _lock = await lockCatalogue(cluster, 'expiring backups')
  return await carryOut(cluster, planExpiry(await gatherFacts(cluster), policy))
}

/**
 * Deletes one backup, damaged or not.
 * @throws {BackstayError} BACKUP_NEEDED when it is kept or one of the last `minimum` good ones, BACKUP_MISSING,
 *   REPOSITORY_LOCKED when it is being read.
 */
export async function deleteBackup(
  cluster: ClusterRepository,
  id: BackupId,
  policy: { readonly minimum: number },
): Promise<ExpiryResult> {
  await using _lock = await lockCatalogue(cluster, `deleting backup ${id}`)
  const facts = await gatherFacts(cluster, id)
  const backup = facts.backups.find(({ info }) => info.id === id)
  if (backup === undefined) await checkIsThere(cluster, id)
  else checkMayGo(backup, facts.backups, policy.minimum)
  const plan = planDeletion(facts, new Set([id]))
  const isDamaged = backup === undefined
  return await carryOut(cluster, isDamaged ? withDamaged(plan, id) : plan)
}

async function carryOut(cluster: ClusterRepository, plan: ExpiryPlan): Promise<ExpiryResult> {
  for (const { id } of plan.expire) await removeBackup(cluster, id)
  const { segmentBytes } = cluster.identity
  for (const segment of plan.segments) {
    await cluster.wal.deleteSegment(formatSegmentName(segment, segmentBytes))
  }
  await removePartials(cluster, plan.segments)
  return { plan, garbage: await collectGarbage(cluster) }
}

/** From the first deletion on the backup does not exist; the rest is rubbish that the next run removes if this one dies. */
async function removeBackup(
  { store, names, clock }: ClusterRepository,
  id: BackupId,
): Promise<void> {
  await using _lock = await takeLock(
    { store, names, clock },
    { name: backupLockName(id), mode: 'exclusive', purpose: `deleting backup ${id}` },
  )
  await store.delete(names.backupInfo(id))
  await store.delete(names.keep(id))
  await store.delete(names.manifest(id))
}

/** Partials go with the finished segments around them. */
async function removePartials(
  cluster: ClusterRepository,
  segments: readonly Segment[],
): Promise<void> {
  const { wal, identity } = cluster
  const last = new Map<number, bigint>()
  for (const { timeline, number } of segments) {
    last.set(timeline, number > (last.get(timeline) ?? -1n) ? number : (last.get(timeline) ?? -1n))
  }
  for (const timeline of await wal.listTimelines()) {
    for (const partial of await wal.listPartials(timeline)) {
      const segment = parseSegmentName(partial.segment, identity.segmentBytes)
      const end = segment === undefined ? undefined : last.get(segment.timeline)
      if (segment !== undefined && end !== undefined && segment.number <= end) {
        await wal.deletePartial(partial)
      }
    }
  }
}

/** `condemned`: a backup that goes anyhow, so that it does not matter if it can be read. */
async function gatherFacts(
  cluster: ClusterRepository,
  condemned?: BackupId,
): Promise<RetentionFacts> {
  const { backups, damaged } = await readCatalogue(cluster)
  checkReadable(damaged.filter(({ id }) => id !== condemned))
  const inUse = new Set<string>()
  for (const { info } of backups) {
    const locks = await findLocks(cluster, backupLockName(info.id))
    if (locks.some((lock) => lock.liveness !== 'dead')) inUse.add(info.id)
  }
  return {
    backups,
    inUse,
    segments: await listSegments(cluster),
    histories: await storedHistories(cluster),
    segmentBytes: cluster.identity.segmentBytes,
    nowMs: cluster.clock.now(),
  }
}

async function listSegments({ wal, identity }: ClusterRepository): Promise<Segment[]> {
  const segments: Segment[] = []
  for (const timeline of await wal.listTimelines()) {
    for await (const name of wal.listSegments(timeline)) {
      const segment = parseSegmentName(name, identity.segmentBytes)
      if (segment !== undefined) segments.push(segment)
    }
  }
  return segments
}

function checkMayGo(
  backup: CataloguedBackup,
  backups: readonly CataloguedBackup[],
  minimum: number,
): void {
  const { id } = backup.info
  if (backup.keep !== undefined) {
    throw new BackstayError(
      'BACKUP_NEEDED',
      `Cannot delete backup ${id}: it is kept since ${backup.keep.keptAt}`,
    )
  }
  const good = backups.filter(({ info }) => info.status === 'done' && info.id !== id)
  if (backup.info.status !== 'done' || good.length >= minimum) return
  throw new BackstayError(
    'BACKUP_NEEDED',
    `Cannot delete backup ${id}: ${good.length} good backups would remain, the minimum is ${minimum}`,
  )
}

async function checkIsThere({ store, names }: ClusterRepository, id: BackupId): Promise<void> {
  if ((await store.size(names.backupInfo(id))) !== undefined) return
  throw new BackstayError('BACKUP_MISSING', `Cannot find backup ${id} in "${store.location}"`)
}

function withDamaged(plan: ExpiryPlan, id: BackupId): ExpiryPlan {
  return { ...plan, expire: [...plan.expire, { id, because: 'it was named' }], segments: [] }
}

function lockCatalogue(cluster: ClusterRepository, purpose: string): Promise<HeldLock> {
  return takeLock(cluster, { name: 'catalogue', mode: 'exclusive', purpose })
}
