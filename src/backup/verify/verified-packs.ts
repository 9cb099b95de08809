/**
 * Remembers which packs were read and found good, so that `--since` need not read them again.
 * Losing these records costs nothing but time.
 */
import { backupIdAt, type BackupInfo, parseBackupId } from '../../repository/backup-info.ts'
import { readBackup } from '../../repository/catalogue.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import { PACK_LIST_BYTES_MAX, putSealed, readSealed } from '../../repository/sealed-object.ts'

/** Records kept; older ones are deleted. */
const RECORDS_MAX = 100

interface VerifiedRecord {
  readonly at: string
  readonly backup: string
  readonly packs: readonly string[]
}

/** Remembers that everything backup `info` needs of `packs` is good. */
export async function recordVerified(
  cluster: ClusterRepository,
  info: BackupInfo,
  packs: readonly string[],
): Promise<void> {
  const { store, names, clock } = cluster
  const now = clock.now()
  const record: VerifiedRecord = { at: new Date(now).toISOString(), backup: info.id, packs }
  // Objects are written once: two records of one second need two names.
  const time = `${backupIdAt(now)}${String(now % 1000).padStart(3, '0')}`
  await putSealed(store, `${names.verified}/${time}-${info.id}.json`, { ...record })
  const known = await store.listObjects(names.verified)
  for (const object of known.slice(0, Math.max(0, known.length - RECORDS_MAX))) {
    await store.delete(`${names.verified}/${object}`)
  }
}

/**
 * Packs of which everything `info` needs was found good at or after `sinceMs` (epoch). What a
 * backup needs of an older pack, its reference needed too, so a verification of the reference
 * counts for it.
 */
export async function verifiedPacks(
  cluster: ClusterRepository,
  info: BackupInfo,
  sinceMs: number,
): Promise<ReadonlySet<string>> {
  const { store, names } = cluster
  const line = await lineOf(cluster, info)
  const packs = new Set<string>()
  for (const object of await store.listObjects(names.verified)) {
    const record = (await readSealed(
      store,
      `${names.verified}/${object}`,
      PACK_LIST_BYTES_MAX,
    )) as unknown as VerifiedRecord | undefined
    if (record === undefined || Date.parse(record.at) < sinceMs || !line.has(record.backup))
      continue
    for (const pack of record.packs) packs.add(pack)
  }
  return packs
}

/** The backup, its reference, the reference's reference, … as far as they are known. */
async function lineOf(cluster: ClusterRepository, info: BackupInfo): Promise<Set<string>> {
  const line = new Set<string>([info.id])
  let next = info.reference
  while (next !== null && !line.has(next)) {
    line.add(next)
    const id = parseBackupId(next)
    next = (id && (await readBackup(cluster, id)))?.info.reference ?? null
  }
  return line
}
