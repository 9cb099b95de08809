/**
 * Which backups are known to be damaged, without reading them: what verification noted
 * (../repository/damage-notes.ts), what sizes of objects say, and history files that cannot be
 * used. Nothing known is no proof that a backup is whole; only verification gives that.
 */
import { isBackstayError } from '../errors/backstay-error.ts'
import type { BackupInfo } from '../repository/backup-info.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { type DamageNote, listDamage } from '../repository/damage-notes.ts'
import { spellIsoTime } from '../util/local-time.ts'
import { describeDamagedWal } from '../wal/damaged-histories.ts'
import { storedHistories } from '../wal/held-wal.ts'
import { isOwnWal } from './own-wal.ts'
import { verifiedPacks } from './verify/verified-packs.ts'

/** What is known of one backup. */
export interface BackupDamage {
  /**
   * False when damage was found in something that it shares with another backup, and it was not
   * verified since.
   */
  readonly isProved: boolean
  /**
   * Its files are not concerned: it cannot become consistent, but later backups can point at its
   * pages.
   */
  readonly isOnlyWal: boolean
  /** What is wrong, as a sentence without subject and full stop. */
  readonly because: string
}

/** By id of the backup; those of which nothing is known are left out. */
export type KnownDamage = ReadonlyMap<string, BackupDamage>

/**
 * What is known of `infos`, which are all that are listed. Asks for the size of each of their packs
 * and manifests.
 */
export async function loadDamage(
  cluster: ClusterRepository,
  infos: readonly BackupInfo[],
): Promise<KnownDamage> {
  const notes = await listDamage(cluster)
  const sizes = new Sizes(cluster)
  const listed = new Set<string>(infos.map(({ id }) => id))
  const broken = new Set<string>()
  await storedHistories(cluster, (object) => void broken.add(object))
  const known = new Map<string, BackupDamage>()
  for (const info of infos) {
    const damage = joinDamage([
      await sizes.damageOf(info),
      notedDamage(info, notes),
      historyDamage(cluster.names.walHistory(info.timeline), broken),
      await doubtOf(cluster, info, { notes, listed }),
    ])
    if (damage !== undefined) known.set(info.id, damage)
  }
  return known
}

/**
 * All of it: damaged WAL, told first, must not hide that a page may be damaged as well. Undefined
 * when nothing is known. Pure.
 */
export function joinDamage(found: readonly (BackupDamage | undefined)[]): BackupDamage | undefined {
  const all = found.filter((damage) => damage !== undefined)
  const told = all.find(({ isProved }) => isProved) ?? all[0]
  return (
    told && {
      isProved: told.isProved,
      isOnlyWal: all.every(({ isOnlyWal }) => isOnlyWal),
      because: told.because,
    }
  )
}

/** For people, without full stop: `backup 2026… is damaged: …`. */
export function describeDamage(id: string, { isProved, because }: BackupDamage): string {
  return isProved
    ? `backup ${id} is damaged: ${because}`
    : `backup ${id} may be damaged: ${because}; \`backstay verify-backup ${id}\` tells`
}

function notedDamage({ id }: BackupInfo, notes: readonly DamageNote[]): BackupDamage | undefined {
  const note = notes.find(({ backup }) => backup === id)
  if (note === undefined) return undefined
  const { at, subject, problem, isOnlyWal } = note
  const when = at === '' ? '' : ` (found by the verification of ${spellIsoTime(at)})`
  return { isProved: true, isOnlyWal, because: `"${subject}": ${problem}${when}` }
}

/**
 * Of its own timeline: without it recovery does not begin. Those of later ones do not concern the
 * backup.
 */
function historyDamage(object: string, broken: ReadonlySet<string>): BackupDamage | undefined {
  if (!broken.has(object)) return undefined
  return { isProved: true, isOnlyWal: true, because: describeDamagedWal(object) }
}

/** What was found in other backups and is this one's too, unless this one was found good since. */
async function doubtOf(
  cluster: ClusterRepository,
  info: BackupInfo,
  {
    notes,
    listed,
  }: { readonly notes: readonly DamageNote[]; readonly listed: ReadonlySet<string> },
): Promise<BackupDamage | undefined> {
  for (const note of notes) {
    // WAL of a backup that is gone is verified by nobody any more, so nobody could take its note
    // back.
    const shared = listed.has(note.backup)
      ? note.wal.find((name) => isOwnWal(name, info, cluster.identity.segmentBytes))
      : undefined
    const pack = await unverifiedPack(cluster, info, note)
    const what = pack ?? shared
    if (what === undefined) continue
    const because = `damage was found in "${what}", which backup ${note.backup} rests on as well, and it was not verified since`
    return { isProved: false, isOnlyWal: pack === undefined, because }
  }
  return undefined
}

async function unverifiedPack(
  cluster: ClusterRepository,
  info: BackupInfo,
  note: DamageNote,
): Promise<string | undefined> {
  const shared = info.packs.filter(({ name }) => note.packs.includes(name))
  if (shared.length === 0) return undefined
  const good = await verifiedSince(cluster, info, Date.parse(note.at))
  return shared.find(({ name }) => !good.has(name))?.name
}

async function verifiedSince(
  cluster: ClusterRepository,
  info: BackupInfo,
  sinceMs: number,
): Promise<ReadonlySet<string>> {
  try {
    return await verifiedPacks(cluster, info, sinceMs)
  } catch (error) {
    // What cannot be read proves nothing.
    if (!isBackstayError(error, 'REPOSITORY_DAMAGED')) throw error
    return new Set()
  }
}

/** Sizes of objects, each asked for once: backups share packs. */
class Sizes {
  readonly #cluster: ClusterRepository
  readonly #known = new Map<string, number | undefined>()

  constructor(cluster: ClusterRepository) {
    this.#cluster = cluster
  }

  /** What of a backup is missing or has not the size that it must have. */
  async damageOf({ id, packs, manifest }: BackupInfo): Promise<BackupDamage | undefined> {
    const { names } = this.#cluster
    const wanted = [
      [names.manifest(id), manifest.storedBytes] as const,
      ...packs.map((pack) => [names.pack(pack.name), pack.storedBytes] as const),
    ]
    for (const [object, bytes] of wanted) {
      const found = await this.#sizeOf(object)
      if (found === bytes) continue
      const is = found === undefined ? 'is missing' : `has ${found} bytes instead of ${bytes}`
      return { isProved: true, isOnlyWal: false, because: `"${object}" ${is}` }
    }
    return undefined
  }

  async #sizeOf(object: string): Promise<number | undefined> {
    if (!this.#known.has(object)) this.#known.set(object, await this.#cluster.store.size(object))
    return this.#known.get(object)
  }
}
