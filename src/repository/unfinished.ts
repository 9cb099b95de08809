/**
 * What an interrupted full backup leaves for the next one: of each pack that it finished a *part*,
 * which says what lies in it (docs/repository-format.md §6b). The caller holds the catalogue's
 * lock.
 */
import { isBackstayError } from '../errors/backstay-error.ts'
import { formatLsn, type Lsn, parseLsn } from '../postgres/lsn.ts'
import { type BackupId, parseBackupId } from './backup-info.ts'
import type { ClusterRepository } from './cluster-repository.ts'
import { type ClusterNames, packName } from './format.ts'
import type { WrittenManifest } from './manifest-writer.ts'
import type { WrittenPack } from './pack-writer.ts'
import { putSealed, readSealed } from './sealed-object.ts'
import { greatest } from '../util/greatest.ts'

/** What was interrupted waits so long for being gone on with. */
const UNFINISHED_MAX_MS = 3 * 86_400_000

/** One pack of a full backup that is not finished. */
export interface BackupPart {
  readonly id: BackupId
  /** Of the pack in its backup. */
  readonly number: number
  readonly pack: WrittenPack
  /** Of the backup. */
  readonly startLsn: Lsn
  readonly files: number
  readonly manifest: Pick<WrittenManifest, 'storedBytes' | 'sha256'>
  /** ISO 8601 UTC. */
  readonly writtenAt: string
}

/** An interrupted full backup that can be gone on with. */
export interface UnfinishedBackup {
  readonly id: BackupId
  readonly parts: readonly BackupPart[]
  /** Of its packs. */
  readonly storedBytes: number
  /** When it is given up; ISO 8601 UTC. */
  readonly until: string
}

/** Where manifest and CRCs of a part are, for what reads and writes those of a backup. */
export function partNames(
  names: ClusterNames,
  number: number,
): Pick<ClusterNames, 'manifest' | 'pageCrcs'> {
  return {
    manifest: (id) => names.partManifest(id, number),
    pageCrcs: (id) => names.partPageCrcs(id, number),
  }
}

/** Writes it; pack, manifest and CRCs must be durable already. */
export async function putPart(cluster: ClusterRepository, part: BackupPart): Promise<void> {
  const { store, names } = cluster
  const startLsn = formatLsn(part.startLsn)
  await putSealed(store, names.part(part.id, part.number), { ...part, startLsn })
}

/**
 * What can be gone on with, oldest first: interrupted after the newest backup that is listed, not
 * too long ago, with its packs whole. `newest`: that backup's id.
 */
export async function readUnfinished(
  cluster: ClusterRepository,
  newest: BackupId | undefined,
): Promise<UnfinishedBackup[]> {
  const { store, names } = cluster
  const found: UnfinishedBackup[] = []
  for (const folder of await store.listFolders(names.backups)) {
    const id = parseBackupId(folder)
    if (id === undefined || (newest !== undefined && id < newest)) continue
    if ((await store.size(names.backupInfo(id))) !== undefined) continue
    const parts = await readParts(cluster, id)
    const untilMs = lastWrittenMs(parts) + UNFINISHED_MAX_MS
    if (parts.length === 0 || cluster.clock.now() >= untilMs) continue
    const storedBytes = parts.reduce((sum, { pack }) => sum + pack.storedBytes, 0)
    found.push({ id, parts, storedBytes, until: new Date(untilMs).toISOString() })
  }
  return found
}

/** Names of the objects in its folder that `part` is made of. */
export function objectsOfPart(names: ClusterNames, { id, number }: BackupPart): string[] {
  return [names.part(id, number), names.partManifest(id, number), names.partPageCrcs(id, number)]
}

/** Removes every part of a backup, but not its packs: it is finished. */
export async function removeParts(
  { store, names }: ClusterRepository,
  id: BackupId,
): Promise<void> {
  const folder = names.backupFolder(id)
  const objects = await store.listObjects(folder)
  for (const object of objects) {
    if (object.startsWith('part-')) await store.delete(`${folder}/${object}`)
  }
}

async function readParts(cluster: ClusterRepository, id: BackupId): Promise<BackupPart[]> {
  const { store, names } = cluster
  const parts: BackupPart[] = []
  for (const object of await store.listObjects(names.backupFolder(id))) {
    const number = Number(/^part-(\d{6})\.json$/.exec(object)?.[1] ?? Number.NaN)
    if (Number.isNaN(number)) continue
    const part = await readPart(cluster, id, number)
    if (part === undefined) continue
    const size = await store.size(names.pack(part.pack.name))
    if (size === part.pack.storedBytes) parts.push(part)
  }
  return parts
}

/**
 * Undefined for one that is damaged or another backup's: what it stands for is received and stored
 * again.
 */
async function readPart(
  { store, names }: ClusterRepository,
  id: BackupId,
  number: number,
): Promise<BackupPart | undefined> {
  try {
    const value = await readSealed(store, names.part(id, number))
    const startLsn = parseLsn(String(value?.['startLsn']))
    if (value === undefined || startLsn === undefined) return undefined
    const part = { ...value, startLsn } as unknown as BackupPart
    const isOwn = part.id === id && part.number === number
    return isOwn && part.pack.name === packName(id, number) ? part : undefined
  } catch (error) {
    if (isBackstayError(error, 'REPOSITORY_DAMAGED')) return undefined
    if (isBackstayError(error, 'REPOSITORY_FORMAT')) return undefined
    throw error
  }
}

function lastWrittenMs(parts: readonly BackupPart[]): number {
  return greatest(
    parts.map(({ writtenAt }) => Date.parse(writtenAt)),
    0,
  )
}
