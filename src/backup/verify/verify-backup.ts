/**
 * Verifies one backup as it lies in the repository: manifest, packs, every unit, every checksum,
 * all WAL it can be rolled forward with. Everything wrong is collected; nothing is repaired.
 */
import { crc32c } from '@node-rs/crc32'
import { BackstayError, isBackstayError } from '../../errors/backstay-error.ts'
import type { BackupId, BackupInfo } from '../../repository/backup-info.ts'
import { readBackup } from '../../repository/catalogue.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import type { Unit } from '../../repository/manifest-entry.ts'
import { listDamage, noteDamage } from '../../repository/damage-notes.ts'
import { ManifestReader } from '../../repository/manifest-reader.ts'
import { hashObject } from '../../repository/open-manifest.ts'
import { PackReader } from '../../repository/pack-reader.ts'
import { useBackup } from '../../repository/use-backup.ts'
import { ReportBuilder, type VerifyReport } from './report.ts'
import { recordVerified, verifiedPacks } from './verified-packs.ts'
import { FileVerifier } from './verify-file.ts'
import { verifyWal } from './verify-wal.ts'

/** Progress is reported every so many files. */
const PROGRESS_FILES = 256

/** How much of a backup is read, and what is passed over because it was read lately. */
export interface VerifyOptions {
  /** Percent of the units to read, 1 to 100; which ones changes with `seed`. */
  readonly samplePercent: number
  /** Chooses the sample: another number, another sample. */
  readonly seed: number
  /**
   * Units of packs that were verified at or after this moment (epoch milliseconds) are not read
   * again.
   */
  readonly sinceMs: number | undefined
  /**
   * When the verification began, of which this is one of several backups (epoch milliseconds).
   * Default: now.
   */
  readonly beganMs?: number
  readonly signal: AbortSignal
  readonly onProgress: (done: { readonly files: number; readonly bytesRead: number }) => void
}

/**
 * Verifies a backup. What is wrong with it is in the report, not thrown, and noted in the
 * repository until a later verification finds it good.
 * @throws {BackstayError} BACKUP_MISSING, REPOSITORY_LOCKED while it is being deleted, STORE; the
 * signal's reason.
 */
export async function verifyBackup(
  cluster: ClusterRepository,
  id: BackupId,
  options: VerifyOptions,
): Promise<VerifyReport> {
  await using _use = await useBackup(cluster, id, `verifying backup ${id}`)
  const at = new Date(options.beganMs ?? cluster.clock.now()).toISOString()
  const report = new ReportBuilder(id)
  const info = await readInfo(cluster, id, report)
  if (info === undefined) return report.build()
  await noting(report, cluster.names.manifest(id), () =>
    verifyFiles(cluster, info, { options, report }),
  )
  await verifyWal(cluster, info, { report, signal: options.signal })
  await note(cluster, { backup: id, at }, report)
  return report.build()
}

/** A note that cannot be written must not hide what was found. */
async function note(
  cluster: ClusterRepository,
  verified: { readonly backup: BackupId; readonly at: string },
  report: ReportBuilder,
): Promise<void> {
  const { damage } = report
  try {
    await noteDamage(cluster, verified, damage)
  } catch (error) {
    if (damage === undefined || !isBackstayError(error)) throw error
    report.problem(cluster.names.damage(verified.backup), `cannot be written: ${error.message}`)
  }
}

async function readInfo(
  cluster: ClusterRepository,
  id: BackupId,
  report: ReportBuilder,
): Promise<BackupInfo | undefined> {
  const backup = await noting(report, cluster.names.backupInfo(id), async () => {
    const found = await readBackup(cluster, id)
    if (found === undefined) {
      throw new BackstayError(
        'BACKUP_MISSING',
        `Cannot find backup ${id} in "${cluster.store.location}"`,
      )
    }
    return found
  })
  return backup?.info
}

/** What a verification passes on to its parts. */
interface Verification {
  readonly options: VerifyOptions
  readonly report: ReportBuilder
}

async function verifyFiles(
  cluster: ClusterRepository,
  info: BackupInfo,
  verification: Verification,
): Promise<void> {
  const { store, names } = cluster
  const { options, report } = verification
  await verifyObjects(cluster, info, report)
  await using manifest = await ManifestReader.open(store, names.manifest(info.id))
  await using packs = new PackReader(store, names)
  const isWanted = await unitChoice(cluster, info, options)
  const files = new FileVerifier({ info, packs, isWanted, report })
  for await (const entry of manifest.entries()) {
    options.signal.throwIfAborted()
    if (entry.kind === 'file') await files.verify(entry)
    if (report.counts.files % PROGRESS_FILES === 0) options.onProgress(report.counts)
  }
  if (manifest.backupId !== info.id) {
    report.damaged(names.manifest(info.id), `it is the manifest of backup ${manifest.backupId}`)
  }
  const { totals } = manifest
  if (totals?.files !== info.files || totals.bytes !== info.bytes.database) {
    report.damaged(names.manifest(info.id), 'number or size of its files differs from backup.json')
  }
  const good = info.packs.map((pack) => pack.name).filter((name) => !files.skippedPacks.has(name))
  if (good.length > 0 && report.problemCount === 0) await recordVerified(cluster, info, good)
}

/** Sizes of the packs, and the manifest's own checksum in backup.json. */
async function verifyObjects(
  cluster: ClusterRepository,
  info: BackupInfo,
  report: ReportBuilder,
): Promise<void> {
  const { store, names } = cluster
  for (const pack of info.packs) {
    const size = await store.size(names.pack(pack.name))
    if (size === pack.storedBytes) continue
    const found = size === undefined ? 'it is missing' : `it has ${size} bytes`
    const problem = `${found} instead of ${pack.storedBytes} bytes`
    report.damaged(names.pack(pack.name), problem, { packs: [pack.name] })
  }
  const sha256 = await hashObject(store, names.manifest(info.id))
  if (sha256 !== info.manifest.sha256) {
    report.damaged(names.manifest(info.id), 'its checksum differs from backup.json')
  }
}

async function unitChoice(
  cluster: ClusterRepository,
  info: BackupInfo,
  options: VerifyOptions,
): Promise<(unit: Unit) => boolean> {
  const { samplePercent, seed, sinceMs } = options
  const known =
    sinceMs === undefined ? new Set<string>() : await verifiedPacks(cluster, info, sinceMs)
  // What was found damaged is read whatever the sample: only that can say that it is right again.
  const noted = new Set((await listDamage(cluster)).flatMap(({ packs }) => packs))
  return (unit) => {
    if (noted.has(unit.pack)) return true
    if (known.has(unit.pack)) return false
    return (
      samplePercent >= 100 || crc32c(`${seed} ${unit.pack} ${unit.offset}`) % 100 < samplePercent
    )
  }
}

/** Runs `work`; damage becomes a problem of `subject`. */
async function noting<T>(
  report: ReportBuilder,
  subject: string,
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (
      !isBackstayError(error, 'REPOSITORY_DAMAGED') &&
      !isBackstayError(error, 'REPOSITORY_FORMAT')
    ) {
      throw error
    }
    report.damaged(subject, error.message)
    return undefined
  }
}
