/**
 * Removes what no backup needs: packs nothing points into, and what died backups left behind. The
 * caller holds the catalogue's lock, so no backup is under way.
 */
import { type BackupId, parseBackupId } from './backup-info.ts'
import { checkReadable, readCatalogue } from './catalogue.ts'
import type { ClusterRepository } from './cluster-repository.ts'
import { dropDamage } from './damage-notes.ts'
import { findLocks } from './lock.ts'
import { objectsOfPart, readUnfinished, type UnfinishedBackup } from './unfinished.ts'

/** What was removed, and what of interrupted backups was left on purpose. */
export interface CollectedGarbage {
  /** Names of packs. */
  readonly packs: readonly string[]
  /** Ids of backups that had begun and never finished, or whose deletion was interrupted. */
  readonly unfinished: readonly string[]
  /** Unfinished files of dead processes. */
  readonly leftovers: number
  /** Fulls that were interrupted and stay for a while, because the next full goes on with them. */
  readonly resumable: readonly UnfinishedBackup[]
  readonly bytes: number
}

/**
 * Removes garbage of the whole cluster.
 * @throws {BackstayError} REPOSITORY_DAMAGED when a backup.json cannot be read: what it needs is
 * not known then.
 */
export async function collectGarbage(cluster: ClusterRepository): Promise<CollectedGarbage> {
  const { backups, damaged } = await readCatalogue(cluster)
  checkReadable(damaged)
  const resumable = await readUnfinished(cluster, backups[0]?.info.id)
  const parts = resumable.flatMap((backup) => backup.parts)
  const needed = new Set([
    ...backups.flatMap(({ info }) => info.packs.map((pack) => pack.name)),
    ...parts.map(({ pack }) => pack.name),
  ])
  const swept = await sweepAll(cluster)
  await sweepLocks(cluster)
  const kept = new Set(parts.flatMap((part) => objectsOfPart(cluster.names, part)))
  const unfinished = await removeUnfinished(cluster, kept)
  const removed = await removePacks(cluster, (name) => !needed.has(name))
  const ids = new Set<string>(backups.map(({ info }) => info.id))
  await dropDamage(cluster, { ids, packs: needed })
  return {
    packs: removed.names,
    unfinished,
    leftovers: swept.files,
    resumable,
    bytes: swept.bytes + removed.bytes,
  }
}

/** Deletes what a backup that failed has written so far. */
export async function discardBackup(cluster: ClusterRepository, id: BackupId): Promise<void> {
  await removeFolder(cluster, id)
  await removePacks(cluster, (name) => name.startsWith(`${id}-`))
}

async function sweepAll(cluster: ClusterRepository): Promise<{ files: number; bytes: number }> {
  const { store, names, clock } = cluster
  let files = 0
  let bytes = 0
  for (const folder of [names.packs, names.backups, names.wal, names.locks]) {
    const swept = await store.sweep(folder, clock.now())
    files += swept.files
    bytes += swept.bytes
  }
  return { files, bytes }
}

/**
 * Locks nobody will ask for again, because what they guarded is gone. Looking at them removes the
 * dead ones.
 */
async function sweepLocks(cluster: ClusterRepository): Promise<void> {
  const { store, names } = cluster
  for (const name of await store.listFolders(names.locks)) await findLocks(cluster, name)
}

/** Folders of backups without backup.json, but for the objects of parts that stay. */
async function removeUnfinished(
  cluster: ClusterRepository,
  kept: ReadonlySet<string>,
): Promise<string[]> {
  const { store, names } = cluster
  const removed: string[] = []
  for (const folder of await store.listFolders(names.backups)) {
    const id = parseBackupId(folder)
    if (id === undefined || (await store.size(names.backupInfo(id))) !== undefined) continue
    await removeFolder(cluster, id, kept)
    if ((await store.listObjects(names.backupFolder(id))).length === 0) removed.push(id)
  }
  return removed
}

async function removeFolder(
  { store, names }: ClusterRepository,
  id: BackupId,
  kept: ReadonlySet<string> = new Set(),
): Promise<void> {
  const folder = names.backupFolder(id)
  for (const object of await store.listObjects(folder)) {
    const name = `${folder}/${object}`
    if (!kept.has(name)) await store.delete(name)
  }
  // Also when nothing was in it: deleting is what removes empty folders.
  await store.delete(names.manifest(id))
}

async function removePacks(
  cluster: ClusterRepository,
  isGarbage: (name: string) => boolean,
): Promise<{ names: string[]; bytes: number }> {
  const { store, names } = cluster
  const removed = { names: [] as string[], bytes: 0 }
  for (const object of await store.listObjects(names.packs)) {
    const name = object.replace(/\.pack$/, '')
    if (!isGarbage(name)) continue
    removed.bytes += (await store.size(names.pack(name))) ?? 0
    await store.delete(names.pack(name))
    removed.names.push(name)
  }
  return removed
}
