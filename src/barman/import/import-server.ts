/**
 * Brings what a Barman server has kept into the repository: WAL first, then its backups from the
 * oldest on. The source is only read. It can be run again: what is there already stays as it is.
 */
import { verifiedPacks } from '../../backup/verify/verified-packs.ts'
import { verifyBackup } from '../../backup/verify/verify-backup.ts'
import { BackstayError, isBackstayError } from '../../errors/backstay-error.ts'
import { type BackupId, backupIdAt, type BackupInfo } from '../../repository/backup-info.ts'
import { keepBackup, listBackups, readBackup } from '../../repository/catalogue.ts'
import {
  checkIdentity,
  claimCluster,
  type ClusterRepository,
  openCluster,
  type ServerIdentity,
} from '../../repository/cluster-repository.ts'
import { collectGarbage, discardBackup } from '../../repository/garbage.ts'
import { takeLock } from '../../repository/lock.ts'
import { loadContinuity } from '../../wal/load-continuity.ts'
import type { BarmanBackup } from './barman-backup.ts'
import { importBackup } from './import-backup.ts'
import { importWal, type WalImport } from './import-wal.ts'
import { identityOf, lookAtBackups } from './look-at-backups.ts'
import { type LookedBackup, planImport, type PlannedBackup } from './plan-import.ts'
import type { BackupOutcome, ServerImport, ServerImportResult } from './server-import.ts'
import { type BarmanWal, findBarmanWal } from './wal-files.ts'

const RECENTLY_MS = 24 * 3_600_000

/**
 * With `isDryRun` everything that can be refused is, and nothing is taken.
 * @throws {BackstayError} REPOSITORY_LOCKED, POSTGRES_IDENTITY, DISK_SPACE, STORE, HOST_PRIVILEGE;
 * the signal's reason.
 */
export async function importServer(order: ServerImport): Promise<ServerImportResult> {
  const { place, isDryRun } = order
  const wal = await findBarmanWal(place)
  const looked = await lookAtBackups(place, order.signal)
  const known = await openIfThere(order)
  if (known !== undefined) await checkOwn(known, { looked, wal }, place.customFilter)
  const identity = known?.identity ?? (await identityOf(looked, wal, place.customFilter))
  const found = {
    server: place.name,
    cluster: order.cluster,
    walFiles: wal.files.length,
    walBytes: wal.files.reduce((total, { bytes }) => total + bytes, 0),
    walMissing: wal.missing,
  }
  if (isDryRun || identity === undefined) {
    const held = await heldBackups(order)
    const plan = planImport(looked, { ...aroundOf(order, identity), held })
    return { ...found, wal: undefined, backups: plan.map(expected) }
  }
  const { store, cluster: name, clock } = order
  const cluster = await claimCluster({ store, name, clock, server: identity })
  const course = { order, cluster, wal, looked, identity }
  return { ...found, ...(await carryOut(course)) }
}

interface ImportCourse {
  readonly order: ServerImport
  readonly cluster: ClusterRepository
  readonly wal: BarmanWal
  readonly looked: readonly LookedBackup[]
  readonly identity: ServerIdentity
}

/**
 * A server of which nothing belongs to the cluster is refused before any of it is taken: its WAL
 * would be turned away file by file.
 * @throws {BackstayError} POSTGRES_IDENTITY, POSTGRES_VERSION
 */
async function checkOwn(
  { identity }: ClusterRepository,
  { looked, wal }: Pick<ImportCourse, 'looked' | 'wal'>,
  customFilter: string | undefined,
): Promise<void> {
  const backups = looked.flatMap((one) => ('facts' in one ? [one.facts] : []))
  if (backups.some((facts) => facts.systemIdentifier === identity.systemIdentifier)) return
  const theirs = await identityOf(looked, wal, customFilter)
  if (theirs !== undefined) checkIdentity(identity, theirs)
}

async function openIfThere(order: ServerImport): Promise<ClusterRepository | undefined> {
  try {
    return await openCluster(order.store, order.cluster, order.clock)
  } catch (error) {
    if (isBackstayError(error, 'REPOSITORY_MISSING')) return undefined
    throw error
  }
}

async function heldBackups(order: ServerImport): Promise<BackupInfo[]> {
  const cluster = await openIfThere(order)
  if (cluster === undefined) return []
  return (await listBackups(cluster)).map(({ info }) => info)
}

function aroundOf(
  { clock }: ServerImport,
  identity: ServerIdentity | undefined,
): { systemIdentifier: string | undefined; presentId: string } {
  return { systemIdentifier: identity?.systemIdentifier, presentId: backupIdAt(clock.now()) }
}

async function carryOut(
  course: ImportCourse,
): Promise<Pick<ServerImportResult, 'wal' | 'backups'>> {
  const { order, cluster, looked, identity } = course
  await using _lock = await takeLock(cluster, {
    name: 'catalogue',
    mode: 'exclusive',
    purpose: `an import from Barman's "${order.place.name}"`,
  })
  await collectGarbage(cluster)
  const wal = await takeWal(course)
  const held = (await listBackups(cluster)).map(({ info }) => info)
  const backups: BackupOutcome[] = []
  for (const planned of planImport(looked, { ...aroundOf(order, identity), held })) {
    order.signal.throwIfAborted()
    backups.push(await takeOne(course, planned))
  }
  return { wal, backups }
}

async function takeWal({ order, cluster, wal }: ImportCourse): Promise<WalImport> {
  const { place, signal, report } = order
  const allBytes = wal.files.reduce((total, { bytes }) => total + bytes, 0)
  return await report.step(`Import ${wal.files.length} WAL files`, async (progress) =>
    importWal(cluster, wal.files, {
      customFilter: place.customFilter,
      signal,
      onProgress: (doneBytes) => progress(doneBytes, allBytes),
    }),
  )
}

async function takeOne(course: ImportCourse, planned: PlannedBackup): Promise<BackupOutcome> {
  const { id } = planned
  try {
    if (planned.action === 'present') return await finishPresent(course, planned)
    if (planned.action !== 'import') return expected(planned)
    const info = await takeBackup(course, planned)
    await keep(course.cluster, planned.id, planned.backup)
    return { id, outcome: 'imported', because: null, info }
  } catch (error) {
    // One bad backup does not keep the others out; a full disk does.
    const isOwn = error instanceof BackstayError && !['DISK_SPACE', 'STORE'].includes(error.code)
    if (!isOwn || course.order.signal.aborted) throw error
    return { id, outcome: 'failed', because: error.message, info: undefined }
  }
}

/** What an import that died may not have come to: the mark, and reading the backup back. */
async function finishPresent(
  course: ImportCourse,
  planned: Extract<PlannedBackup, { action: 'present' }>,
): Promise<BackupOutcome> {
  const { order, cluster } = course
  const { id, backup } = planned
  await keep(cluster, id, backup)
  const info = (await readBackup(cluster, id))?.info
  const verified = info === undefined ? undefined : await verifiedPacks(cluster, info, 0)
  if (info?.packs.some(({ name }) => verified?.has(name) !== true) === true) {
    await order.report.step(`Verify backup ${id}`, async (progress) => verify(course, id, progress))
  }
  return { ...expected(planned), info }
}

async function takeBackup(
  course: ImportCourse,
  planned: Extract<PlannedBackup, { action: 'import' }>,
): Promise<BackupInfo> {
  const { order, cluster } = course
  const { id, backup, data, facts } = planned
  const { address, createdBy, workers, signal, report, place } = order
  const record = { cluster: order.cluster, server: place.name, connection: address, createdBy }
  const map = await loadContinuity(cluster)
  const info = await report.step(`Import backup ${id}`, async (progress) =>
    importBackup({
      cluster,
      id,
      backup,
      data,
      facts,
      map,
      record,
      workers,
      signal,
      onProgress: (doneBytes) => progress(doneBytes, backup.sizeBytes),
    }),
  )
  try {
    await report.step(`Verify backup ${id}`, async (progress) => verify(course, id, progress))
  } catch (error) {
    // Barman still has it: what is not right here is not kept.
    if (isBackstayError(error, 'REPOSITORY_DAMAGED')) await discardBackup(cluster, id)
    throw error
  }
  return info
}

async function verify(
  { order: { clock, signal }, cluster }: ImportCourse,
  id: BackupId,
  progress: (doneBytes: number) => void,
): Promise<void> {
  const { isGood, problems } = await verifyBackup(cluster, id, {
    samplePercent: 100,
    seed: 0,
    // Packs that the backup before this one pointed into were read a moment ago.
    sinceMs: clock.now() - RECENTLY_MS,
    signal,
    onProgress: ({ bytesRead }) => progress(bytesRead),
  })
  if (isGood) return
  const [first] = problems
  throw new BackstayError(
    'REPOSITORY_DAMAGED',
    `Backup ${id} is not right in the repository: "${first?.subject}": ${first?.problem}`,
    { hint: `Delete it (\`backstay delete ${id}\`) and import it again.` },
  )
}

async function keep(
  cluster: ClusterRepository,
  id: BackupId,
  { keep: target }: BarmanBackup,
): Promise<void> {
  if (target === undefined || (await readBackup(cluster, id))?.keep !== undefined) return
  await keepBackup(cluster, id, { reason: 'kept in Barman', target })
}

/** What is going to become of a backup, without doing it. */
function expected(planned: PlannedBackup): BackupOutcome {
  const { id, action } = planned
  const words = {
    import: 'import',
    present: 'present',
    wait: 'wait',
    refuse: 'refused',
    skip: 'skipped',
  }
  const because = 'because' in planned ? planned.because : null
  return { id, outcome: words[action] as BackupOutcome['outcome'], because, info: undefined }
}
