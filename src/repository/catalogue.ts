/**
 * The backups of a cluster: listed, found by what an operator types, kept and released.
 * Only finished backups are here, because backup.json is written last.
 */
import { BackstayError, isBackstayError } from '../errors/backstay-error.ts'
import { formatLsn, type Lsn, parseLsn } from '../postgres/lsn.ts'
import {
  type BackupId,
  type BackupInfo,
  type BackupKeep,
  type CataloguedBackup,
  KEEP_TARGETS,
  parseBackupId,
} from './backup-info.ts'
import { strangeKey } from './backup-shape.ts'
import type { ClusterRepository } from './cluster-repository.ts'
import { PACK_LIST_BYTES_MAX, putSealed, readSealed, replaceSealed } from './sealed-object.ts'
import { textOf } from '../util/text-of.ts'
import { useBackup } from './use-backup.ts'

/** All finished backups that can be read, and those that cannot. */
export interface Catalogue {
  /** Newest first. */
  readonly backups: readonly CataloguedBackup[]
  /** Backups whose backup.json or keep.json is damaged. */
  readonly damaged: readonly { readonly id: BackupId; readonly error: BackstayError }[]
}

/** Reads what every backup's folder says of it. A damaged backup does not hide the others. */
export async function readCatalogue(cluster: ClusterRepository): Promise<Catalogue> {
  const backups: CataloguedBackup[] = []
  const damaged: { id: BackupId; error: BackstayError }[] = []
  for (const folder of await cluster.store.listFolders(cluster.names.backups)) {
    const id = parseBackupId(folder)
    if (id === undefined) continue
    try {
      const backup = await readBackup(cluster, id)
      if (backup !== undefined) backups.unshift(backup)
    } catch (error) {
      if (!isBackstayError(error, 'REPOSITORY_DAMAGED')) throw error
      damaged.push({ id, error })
    }
  }
  return { backups, damaged }
}

/**
 * Nothing may be deleted while it is not known what every backup needs.
 * @throws {BackstayError} REPOSITORY_DAMAGED when there are damaged backups.
 */
export function checkReadable(damaged: Catalogue['damaged']): void {
  const [first] = damaged
  if (first === undefined) return
  throw new BackstayError(
    'REPOSITORY_DAMAGED',
    `Cannot tell what may be deleted: what backup ${first.id} needs is not known`,
    {
      hint: `Delete that backup with \`backstay delete ${first.id}\`, or bring its backup.json back.`,
      cause: first.error,
    },
  )
}

/** All finished backups that can be read, newest first. */
export async function listBackups(cluster: ClusterRepository): Promise<CataloguedBackup[]> {
  return [...(await readCatalogue(cluster)).backups]
}

/** One backup; undefined when it does not exist or is not finished. */
export async function readBackup(
  cluster: ClusterRepository,
  id: BackupId,
): Promise<CataloguedBackup | undefined> {
  const value = await readSealed(cluster.store, cluster.names.backupInfo(id), PACK_LIST_BYTES_MAX)
  if (value === undefined) return undefined
  const keep = await readSealed(cluster.store, cluster.names.keep(id))
  return { info: decodeBackupInfo(cluster, id, value), keep: keep && decodeKeep(keep) }
}

/**
 * Reads what the opened backup.json of backup `id` says, wherever it came from.
 * @throws {BackstayError} REPOSITORY_DAMAGED when no backup can be so, or it is another one.
 */
function decodeBackupInfo(
  cluster: ClusterRepository,
  id: BackupId,
  value: Readonly<Record<string, unknown>>,
): BackupInfo {
  const info = decodeInfo(value, cluster.names.backupInfo(id))
  checkBelongs(cluster, id, info)
  return info
}

/**
 * A backup.json that lies in another backup's folder, or came from another cluster, would restore
 * something else.
 */
function checkBelongs(cluster: ClusterRepository, id: BackupId, info: BackupInfo): void {
  const { systemIdentifier } = cluster.identity
  const found = info.postgres.systemIdentifier
  if (info.id === id && found === systemIdentifier) return
  const why =
    info.id === id
      ? `it is of system identifier ${found}, and the repository's is ${systemIdentifier}`
      : `it says that it is backup ${info.id}`
  throw new BackstayError(
    'REPOSITORY_DAMAGED',
    `Cannot read "${cluster.names.backupInfo(id)}": ${why}`,
  )
}

/**
 * The backup an operator means: an id, the beginning of exactly one id, a label (the newest of that
 * label), `latest` or `oldest`.
 * @throws {BackstayError} BACKUP_MISSING, USAGE when the beginning fits several.
 */
export async function findBackup(
  cluster: ClusterRepository,
  wanted: string,
): Promise<CataloguedBackup> {
  const id = parseBackupId(wanted)
  if (id !== undefined) return (await readBackup(cluster, id)) ?? missing(cluster, wanted)
  return chooseBackup(await listBackups(cluster), wanted) ?? missing(cluster, wanted)
}

/** `findBackup` among `backups`, newest first. @throws {BackstayError} USAGE when several fit. */
function chooseBackup(
  backups: readonly CataloguedBackup[],
  wanted: string,
): CataloguedBackup | undefined {
  if (wanted === 'latest') return backups[0]
  if (wanted === 'oldest') return backups.at(-1)
  const labelled = backups.find(({ info }) => info.label === wanted)
  if (labelled !== undefined) return labelled
  const [match, ...others] = backups.filter(({ info }) => info.id.startsWith(wanted))
  if (others.length === 0) return match
  throw new BackstayError(
    'USAGE',
    `Cannot tell which backup "${wanted}" is: ${others.length + 1} begin with it`,
    { hint: 'Type more of the id; see `backstay backups`.' },
  )
}

/**
 * Writes backup.json: from now on the backup exists. Everything it needs must be durable already.
 */
export async function publishBackup(cluster: ClusterRepository, info: BackupInfo): Promise<void> {
  const outcome = await putSealed(cluster.store, cluster.names.backupInfo(info.id), {
    ...info,
    startLsn: formatLsn(info.startLsn),
    stopLsn: formatLsn(info.stopLsn),
  })
  if (outcome === 'stored') return
  throw new BackstayError('BUG', `Cannot publish backup ${info.id}: it exists already`)
}

/**
 * Protects a backup from expiring and deletion until `releaseBackup`. Keeping again replaces the
 * earlier wish.
 * @throws {BackstayError} BACKUP_MISSING, REPOSITORY_LOCKED while it is being deleted.
 */
export async function keepBackup(
  cluster: ClusterRepository,
  id: BackupId,
  wish: Pick<BackupKeep, 'reason' | 'target'>,
): Promise<void> {
  // Held meanwhile: what is being deleted cannot be kept any more.
  await using _use = await useBackup(cluster, id, `keeping backup ${id}`)
  const backup = await readBackup(cluster, id)
  if (backup === undefined) missing(cluster, id)
  if (backup.keep?.target === wish.target && backup.keep.reason === wish.reason) return
  const keptAt = new Date(cluster.clock.now()).toISOString()
  // At no moment is it not kept: an expiry that runs after a crash would take it.
  await replaceSealed(cluster.store, cluster.names.keep(id), { id, keptAt, ...wish })
}

/** Ends `keepBackup`; false when the backup was not kept. @throws {BackstayError} BACKUP_MISSING */
export async function releaseBackup(cluster: ClusterRepository, id: BackupId): Promise<boolean> {
  if ((await readBackup(cluster, id)) === undefined) missing(cluster, id)
  return await cluster.store.delete(cluster.names.keep(id))
}

/** A wish that is not understood keeps all that one can. */
function decodeKeep({ keptAt, reason, target }: Readonly<Record<string, unknown>>): BackupKeep {
  return {
    keptAt: textOf(keptAt),
    reason: reason === null ? null : textOf(reason),
    target: KEEP_TARGETS.find((one) => one === target) ?? 'full',
  }
}

function decodeInfo(value: Readonly<Record<string, unknown>>, name: string): BackupInfo {
  const strange = strangeKey(value)
  if (strange !== undefined) {
    const why = `its "${strange}" cannot be that of a backup`
    throw new BackstayError('REPOSITORY_DAMAGED', `Cannot read "${name}": ${why}`)
  }
  const { format: _format, checksum: _checksum, ...rest } = value
  return {
    ...rest,
    startLsn: readLsn(value, 'startLsn'),
    stopLsn: readLsn(value, 'stopLsn'),
  } as BackupInfo
}

function readLsn(value: Readonly<Record<string, unknown>>, key: string): Lsn {
  const lsn = parseLsn(String(value[key]))
  if (lsn !== undefined) return lsn
  throw new BackstayError(
    'REPOSITORY_DAMAGED',
    `Cannot read backup "${String(value['id'])}": ${key} is ${JSON.stringify(value[key])}`,
  )
}

function missing(cluster: ClusterRepository, wanted: string): never {
  throw new BackstayError(
    'BACKUP_MISSING',
    `Cannot find backup "${wanted}" of cluster "${cluster.identity.cluster}" in "${cluster.store.location}"`,
  )
}
