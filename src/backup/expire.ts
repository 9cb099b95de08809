/**
 * Carries out retention and deletion: backup.json first, then what nothing needs any more.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { addBytes } from '../postgres/lsn.ts'
import { formatSegmentName, segmentStart } from '../postgres/segment-name.ts'
import type { BackupId, BackupInfo, CataloguedBackup } from '../repository/backup-info.ts'
import { checkReadable, readCatalogue } from '../repository/catalogue.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { collectGarbage, type CollectedGarbage } from '../repository/garbage.ts'
import { findLocks, type HeldLock, takeLock } from '../repository/lock.ts'
import { backupLockName } from '../repository/use-backup.ts'
import { spellIsoTime } from '../util/local-time.ts'
import { type ContinuityMap, findGaps, recoverableWindows } from '../wal/continuity.ts'
import { loadHeldNames, rangeByName } from '../wal/load-continuity.ts'
import { loadLines } from '../wal/load-lines.ts'
import { leadsTo, neededBy } from '../wal/needed-wal.ts'
import { type KnownDamage, loadDamage } from './known-damage.ts'
import { deleteStaleHistories } from './stale-histories.ts'
import { releaseWal, without } from '../wal/released-wal.ts'
import type { WalRange } from '../wal/wal-position.ts'
import {
  type ExpiryPlan,
  planDeletion,
  planExpiry,
  rankOf,
  RANKS,
  type RetentionFacts,
  type RetentionPolicy,
} from './retention.ts'

/**
 * What expiring or deleting removed and kept: the plan that was carried out, and the packs and
 * leftovers that went with it.
 */
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
 * @throws {BackstayError} REPOSITORY_LOCKED while a backup is taken, REPOSITORY_DAMAGED when what a
 * backup needs cannot be read.
 */
export async function expireCluster(
  cluster: ClusterRepository,
  policy: RetentionPolicy,
): Promise<ExpiryResult> {
  await using _lock = await lockCatalogue(cluster, 'expiring backups')
  const facts = await gatherFacts(cluster)
  return await carryOut(cluster, facts, planExpiry(facts, policy))
}

/**
 * What stays whatever is asked, and what retention wants besides: it tells how much WAL the others
 * need.
 */
export type DeletionPolicy = Pick<RetentionPolicy, 'minimum'> & Partial<RetentionPolicy>

/**
 * Deletes one backup, damaged or not.
 * @throws {BackstayError} BACKUP_NEEDED when it is kept or one of the last `minimum` good ones of
 * the line production is on, BACKUP_MISSING,
 *   REPOSITORY_LOCKED when it is being read.
 */
export async function deleteBackup(
  cluster: ClusterRepository,
  id: BackupId,
  policy: DeletionPolicy,
): Promise<ExpiryResult> {
  await using _lock = await lockCatalogue(cluster, `deleting backup ${id}`)
  const facts = await gatherFacts(cluster, id)
  const backup = facts.backups.find(({ info }) => info.id === id)
  if (backup === undefined) await checkIsThere(cluster, id)
  else checkMayGo(backup, facts, policy.minimum)
  const plan = planDeletion(facts, new Set([id]), {
    windowMs: undefined,
    count: undefined,
    ...policy,
  })
  const isDamaged = backup === undefined
  return await carryOut(cluster, facts, isDamaged ? withDamaged(plan, id) : plan)
}

async function carryOut(
  cluster: ClusterRepository,
  facts: GatheredFacts,
  plan: ExpiryPlan,
): Promise<ExpiryResult> {
  await releaseWal(cluster, unneededGaps(facts, plan))
  for (const { id } of plan.expire) {
    const isListed = facts.backups.some(({ info }) => info.id === id)
    await removeBackup(cluster, id, isListed)
  }
  const { wal, identity } = cluster
  for (const segment of plan.segments) {
    await wal.deleteSegment(formatSegmentName(segment, identity.segmentBytes))
  }
  for (const partial of plan.partials) await wal.deletePartial(partial)
  const goneIds = new Set<string>(plan.expire.map(({ id }) => id))
  const gone = facts.backups.flatMap(({ info }) => (goneIds.has(info.id) ? [info] : []))
  await deleteStaleHistories(cluster, { gone, isNeeded: needOf(facts, plan) })
  return { plan, garbage: await collectGarbage(cluster) }
}

/** The holes there will be that nothing that stays needs filled. */
function unneededGaps(facts: GatheredFacts, plan: ExpiryPlan): WalRange[] {
  const { map, segmentBytes } = facts
  const going = [
    ...plan.segments.map((segment) => {
      const startLsn = segmentStart(segment, segmentBytes)
      return { timeline: segment.timeline, startLsn, endLsn: addBytes(startLsn, segmentBytes) }
    }),
    ...plan.partials.flatMap((partial) => rangeByName(partial, segmentBytes) ?? []),
  ]
  const ranges = new Map(
    [...map.ranges].map(([timeline, held]) => [timeline, without(held, going)]),
  )
  const isNeeded = needOf(facts, plan)
  return findGaps({ ...map, ranges }).filter((gap) => !isNeeded(gap))
}

/** Whether what stays needs WAL somewhere. */
function needOf(
  { histories, segmentBytes, lines }: GatheredFacts,
  plan: ExpiryPlan,
): (range: WalRange) => boolean {
  return neededBy(plan.needs, { histories, segmentBytes, lines: lines?.current })
}

/**
 * `isListed`: it was not kept when this was planned, and must not be now. From the first deletion
 * on the backup does not exist; the rest is rubbish that the next run removes if this one dies.
 */
async function removeBackup(
  { store, names, clock }: ClusterRepository,
  id: BackupId,
  isListed: boolean,
): Promise<void> {
  await using _lock = await takeLock(
    { store, names, clock },
    { name: backupLockName(id), mode: 'exclusive', purpose: `deleting backup ${id}` },
  )
  if (isListed && (await store.size(names.keep(id))) !== undefined) {
    throw new BackstayError(
      'BACKUP_NEEDED',
      `Cannot delete backup ${id}: it was kept since this was planned; nothing that it needs has gone`,
    )
  }
  await store.delete(names.backupInfo(id))
  await store.delete(names.keep(id))
  await store.delete(names.manifest(id))
}

/** With everything that is held, as ranges. */
interface GatheredFacts extends RetentionFacts {
  readonly map: ContinuityMap
  /**
   * Of which nothing but WAL or a history is damaged: the next backup, or a server that still has
   * it, puts that right.
   */
  readonly mendable: ReadonlySet<string>
}

/** `condemned`: a backup that goes anyhow, so that it does not matter if it can be read. */
async function gatherFacts(
  cluster: ClusterRepository,
  condemned?: BackupId,
): Promise<GatheredFacts> {
  const { backups, damaged } = await readCatalogue(cluster)
  checkReadable(damaged.filter(({ id }) => id !== condemned))
  const inUse = new Set<string>()
  for (const { info } of backups) {
    const locks = await findLocks(cluster, backupLockName(info.id))
    if (locks.some((lock) => lock.liveness !== 'dead')) inUse.add(info.id)
  }
  const { segments, partials, map } = await loadHeldNames(cluster)
  const infos = backups.map(({ info }) => info)
  const damage = await loadDamage(cluster, infos)
  return {
    map,
    backups,
    inUse,
    segments,
    partials,
    histories: [...map.histories.values()],
    segmentBytes: cluster.identity.segmentBytes,
    nowMs: cluster.clock.now(),
    lines: await loadLines(cluster, map, infos),
    ...judgeUse(infos, map, damage),
  }
}

/** Which backups cannot be restored as far as is known, and of which that is not known. */
function judgeUse(
  infos: readonly BackupInfo[],
  map: ContinuityMap,
  damage: KnownDamage,
): Pick<GatheredFacts, 'unusable' | 'doubtful' | 'mendable'> {
  const usable = new Set(recoverableWindows(infos, map).map(({ backup }) => backup))
  const ids = infos.map(({ id }) => id)
  return {
    unusable: new Set(ids.filter((id) => !usable.has(id) || damage.get(id)?.isProved === true)),
    doubtful: new Set(ids.filter((id) => damage.get(id)?.isProved === false)),
    mendable: new Set(ids.filter((id) => damage.get(id)?.isOnlyWal === true)),
  }
}

function checkMayGo(backup: CataloguedBackup, facts: GatheredFacts, minimum: number): void {
  const { id } = backup.info
  if (backup.keep !== undefined) {
    throw new BackstayError(
      'BACKUP_NEEDED',
      `Cannot delete backup ${id}: it is kept since ${spellIsoTime(backup.keep.keptAt)}`,
    )
  }
  const rank = rankOf(backup, facts)
  const isMendable = facts.mendable.has(id)
  if (rank === RANKS.unusable && !isMendable) return
  // One with bad pages is the best there is where the server itself has bad pages.
  const worst = rank === RANKS.badPages ? RANKS.badPages : RANKS.good
  const counts = (one: CataloguedBackup): boolean =>
    rankOf(one, facts) <= worst || (isMendable && facts.mendable.has(one.info.id))
  const rest = facts.backups.filter((one) => one !== backup && counts(one))
  const lines = (facts.lines?.current ?? []).filter((line) => leadsTo(backup.info, line))
  for (const line of [undefined, ...lines]) {
    const onLine = rest.filter(({ info }) => line === undefined || leadsTo(info, line))
    if (onLine.length >= minimum) continue
    const what = worst === RANKS.good ? 'good backups' : 'backups that can be restored'
    const where =
      line === undefined ? '' : ` on the line production is on (timeline ${line.timeline})`
    throw new BackstayError(
      'BACKUP_NEEDED',
      `Cannot delete backup ${id}: ${onLine.length} ${what} would remain${where}, the minimum is ${minimum}`,
    )
  }
}

async function checkIsThere({ store, names }: ClusterRepository, id: BackupId): Promise<void> {
  if ((await store.size(names.backupInfo(id))) !== undefined) return
  throw new BackstayError('BACKUP_MISSING', `Cannot find backup ${id} in "${store.location}"`)
}

function withDamaged(plan: ExpiryPlan, id: BackupId): ExpiryPlan {
  return {
    ...plan,
    expire: [...plan.expire, { id, because: 'it was named' }],
    segments: [],
    partials: [],
  }
}

function lockCatalogue(cluster: ClusterRepository, purpose: string): Promise<HeldLock> {
  return takeLock(cluster, { name: 'catalogue', mode: 'exclusive', purpose })
}
