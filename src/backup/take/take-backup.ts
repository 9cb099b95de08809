/**
 * Takes one backup: plan → receive → make durable → wait for its WAL → publish. Until the last step
 * nothing is listed, and whatever an interrupted backup leaves behind is removed by the next one.
 */
import { BackstayError, isBackstayError } from '../../errors/backstay-error.ts'
import { type BackupId, backupIdAt, type BackupInfo } from '../../repository/backup-info.ts'
import { listBackups, publishBackup } from '../../repository/catalogue.ts'
import { claimCluster, type ClusterRepository } from '../../repository/cluster-repository.ts'
import { collectGarbage, discardBackup } from '../../repository/garbage.ts'
import { checkLabel } from '../../repository/label.ts'
import { takeLock } from '../../repository/lock.ts'
import { readUnfinished, removeParts } from '../../repository/unfinished.ts'
import { formatSize } from '../../util/size.ts'
import { storedHistories } from '../../wal/held-wal.ts'
import { noteLine } from '../../wal/note-line.ts'
import { ReplicationConnection } from '../../wire/replication-connection.ts'
import type { BackupStep } from '../events.ts'
import { loadDamage } from '../known-damage.ts'
import { isWalMissing, type WalAvailability } from '../wal-availability.ts'
import type { ReceivedBackup } from './backup-receiver.ts'
import { type ReferenceChoice, chooseReference } from './choose-reference.ts'
import { describeBackup } from './describe-backup.ts'
import { isInterruption } from './interruption.ts'
import { type ReceivedBy, receiveBackup } from './receive-backup.ts'
import { isSameHistory } from './same-history.ts'
import { askServer, type BackedUpServer } from './backed-up-server.ts'
import type { TakeBackupOptions } from './take-options.ts'
import { judgeBadPages } from './torn-pages.ts'

const WAL_TIMEOUT_MS = 10 * 60_000

/** How long the WAL since the reference may lag behind the server when it is looked for. */
const CONTINUITY_TIMEOUT_MS = 15_000

/** Ids are seconds; two backups in one second, or a clock that went back, wait or fail. */
const ID_WAIT_MAX_MS = 5000

/**
 * Takes a backup and returns it as listed.
 * @throws {BackstayError} USAGE for a label that cannot be one, REPOSITORY_LOCKED,
 * POSTGRES_IDENTITY, WAL_UNAVAILABLE, DISK_SPACE, STORE, …; the signal's reason.
 */
export async function takeBackup(options: TakeBackupOptions): Promise<BackupInfo> {
  if (options.label !== null) checkLabel(options.label)
  const server = await identify(options)
  const { store, clock, signal } = options
  const cluster = await claimCluster({ store, name: options.cluster, server, clock })
  await using _lock = await takeLock(cluster, {
    name: 'catalogue',
    mode: 'exclusive',
    purpose: `a backup of "${options.cluster}"`,
  })
  step(options, 'locked', `Holding the catalogue of "${options.cluster}"`)
  await cleanUp(options, cluster)
  step(options, 'cleaned', 'What died backups left is removed')
  await using wal = await options.wal(cluster, signal)
  const id = await chooseId(cluster, signal)
  const info = await takeOrDiscard({ options, cluster, server, wal, id })
  step(options, 'published', `Backup ${id} is listed`)
  await noteItsLine(options, cluster, info)
  return info
}

async function takeOrDiscard(context: TakeContext): Promise<BackupInfo> {
  const { cluster, id, options } = context
  try {
    const info = await takeWithId(context)
    await removeParts(cluster, id)
    await publishBackup(cluster, info)
    await giveUpOlder(cluster).catch(() => undefined)
    return info
  } catch (error) {
    // What was stored of a full until it was interrupted stays for the next one; the next one
    // removes the rest, too.
    if (isInterruption(error, options.signal) && (await isResumable(context))) throw error
    // What cannot be removed now is removed by the next backup; the reason of the failure matters
    // more.
    await discardBackup(cluster, id).catch(() => undefined)
    throw error
  }
}

/**
 * What was interrupted before it is not gone on with any more; what cannot be removed now the next
 * backup removes.
 */
async function giveUpOlder(cluster: ClusterRepository): Promise<void> {
  const older = await readUnfinished(cluster, undefined)
  if (older.length > 0) await collectGarbage(cluster)
}

async function isResumable({ cluster, id, options }: TakeContext): Promise<boolean> {
  const unfinished = await readUnfinished(cluster, id).catch(() => [])
  const [found] = unfinished
  if (found === undefined) return false
  const text = `What it has stored, ${formatSize(found.storedBytes)}, is kept for the next full backup to go on with`
  options.onEvent({ kind: 'warning', text })
  return true
}

/** The backup is good whatever becomes of the note. */
async function noteItsLine(
  options: TakeBackupOptions,
  cluster: ClusterRepository,
  { timeline }: BackupInfo,
): Promise<void> {
  try {
    const histories = await storedHistories(cluster)
    const history = histories.find((one) => one.timeline === timeline)
    await noteLine(cluster, history ?? { timeline, switches: [] }, 'backup')
  } catch (error) {
    if (!isBackstayError(error)) throw error
    options.onEvent({ kind: 'warning', text: error.message })
  }
}

/** A damaged older backup must not keep new ones from being taken; only nothing is deleted then. */
async function cleanUp(options: TakeBackupOptions, cluster: ClusterRepository): Promise<void> {
  try {
    options.onEvent({ kind: 'cleaned', garbage: await collectGarbage(cluster) })
  } catch (error) {
    if (!isBackstayError(error, 'REPOSITORY_DAMAGED')) throw error
    options.onEvent({ kind: 'warning', text: error.message })
  }
}

interface TakeContext {
  readonly options: TakeBackupOptions
  readonly cluster: ClusterRepository
  readonly server: BackedUpServer
  readonly wal: WalAvailability
  readonly id: BackupId
}

async function takeWithId(context: TakeContext): Promise<BackupInfo> {
  const { options, server, id } = context
  const { clock } = options
  const planned = await planBackup(context)
  const startedAtMs = clock.now()
  step(options, 'receiving', 'Receiving')
  const receivedBy = await receiveBackup({ ...context, choice: planned })
  const finishedAtMs = clock.now()
  step(options, 'stored', 'All pages and the manifest are durable')
  await holdWal(context, receivedBy.received)
  const received = await judged(context, receivedBy)
  step(options, 'wal-held', 'The WAL it needs is durable')
  const { choice, method, resumed } = receivedBy
  return describeBackup(
    { id, choice, method, server, received, resumed, startedAtMs, finishedAtMs },
    options,
  )
}

async function identify(options: TakeBackupOptions): Promise<BackedUpServer> {
  const { connection, signal } = options
  await using replication = await ReplicationConnection.connect({ ...connection, signal })
  return await askServer(replication, signal)
}

/** The id of the present second, or the next one when that is taken. */
async function chooseId(cluster: ClusterRepository, signal: AbortSignal): Promise<BackupId> {
  const { clock, names, store } = cluster
  const newest = (await store.listFolders(names.backups)).at(-1) ?? ''
  for (let waitedMs = 0; waitedMs <= ID_WAIT_MAX_MS; waitedMs += 500) {
    const id = backupIdAt(clock.now())
    if (id > newest) return id
    await clock.sleep(500, signal)
  }
  throw new BackstayError(
    'FAILED',
    `Cannot name a backup: the clock says ${backupIdAt(clock.now())}, but backup ${newest} is there already`,
    { hint: 'Is the clock of this host right?' },
  )
}

/** Chooses the reference, and a full after all when the WAL since then is not held. */
async function planBackup(context: TakeContext): Promise<ReferenceChoice> {
  const { options, cluster, server, id } = context
  const backups = await listBackups(cluster)
  const damage = await loadDamage(
    cluster,
    backups.map(({ info }) => info),
  )
  const wished = chooseReference(backups, server, { full: options.full, damage })
  const missing = await whyNotVouched(context, wished)
  const choice: ReferenceChoice =
    missing === undefined ? wished : { type: 'full', because: missing }
  options.onEvent({
    kind: 'planned',
    id,
    type: choice.type,
    fullBecause: choice.type === 'full' ? choice.because : null,
    reference: choice.type === 'full' ? null : choice.reference.id,
  })
  step(options, 'planned', describeChoice(choice))
  return choice
}

/**
 * Why the WAL since the reference cannot vouch for it; undefined when it is all held and the
 * server's, or nothing rests on it. That no other WAL is held under the names of the server's is
 * looked at for a full too.
 */
async function whyNotVouched(
  context: TakeContext,
  choice: ReferenceChoice,
): Promise<string | undefined> {
  const { cluster, server, options } = context
  const { connection, clock, signal } = options
  const vouching = choice.type === 'full' ? [] : choice.wal
  const question = { cluster, server, vouching, connection, clock, signal }
  // Before anything is fetched: what comes from another history must not be stored beside ours.
  const isShown = await isSameHistory(question)
  if (choice.type === 'full') return undefined
  const missing = await missingWal(context, choice)
  if (missing !== undefined || isShown) return missing
  if (choice.wal.length === 0) return undefined
  // A receiver may have stored meanwhile what the server has removed: now the server's next records
  // follow what is held.
  if (await isSameHistory(question)) return undefined
  return `the server has nothing left that shows that the WAL since backup ${choice.reference.id} is its own`
}

/** Why the WAL since the reference is not there; undefined when it is all held. */
async function missingWal(
  context: TakeContext,
  choice: Extract<ReferenceChoice, { type: 'changed-pages' }>,
): Promise<string | undefined> {
  const { signal } = context.options
  try {
    for (const range of choice.wal) {
      const wait = {
        timeoutMs: CONTINUITY_TIMEOUT_MS,
        signal,
        finishedOnly: true,
        trustsHeld: true,
      }
      await context.wal.ensure(range, wait)
    }
    return undefined
  } catch (error) {
    if (!isWalMissing(error)) throw error
    const why = error instanceof Error ? error.message : ''
    return `the WAL since backup ${choice.reference.id} is not held without a gap: ${why}`
  }
}

function describeChoice(choice: ReferenceChoice): string {
  if (choice.type === 'changed-pages') return `Changed pages since backup ${choice.reference.id}`
  return choice.because === null ? 'A full backup' : `A full backup: ${choice.because}`
}

/** Separates damaged pages from torn ones, with the WAL that is held by now. */
async function judged(
  { cluster }: TakeContext,
  { received }: ReceivedBy,
): Promise<ReceivedBackup & Pick<BackupInfo, 'tornPages'>> {
  const { start, end, badPages } = received
  const range = { timeline: start.timeline, startLsn: start.startLsn, endLsn: end.endLsn }
  return { ...received, ...(await judgeBadPages(cluster, range, badPages)) }
}

async function holdWal(context: TakeContext, received: ReceivedBackup): Promise<void> {
  const { options, cluster, server } = context
  const { start, end, role } = received
  if (server.historyContent !== undefined && server.timeline === start.timeline) {
    await cluster.wal.putHistory(server.timeline, server.historyContent)
  }
  if (start.timeline !== end.timeline) {
    throw new BackstayError(
      'FAILED',
      `Cannot use the backup: the server went from timeline ${start.timeline} to ${end.timeline} meanwhile`,
      { hint: 'Take it again.' },
    )
  }
  const range = { timeline: start.timeline, startLsn: start.startLsn, endLsn: end.endLsn }
  await context.wal.ensure(range, {
    timeoutMs: options.walTimeoutMs ?? WAL_TIMEOUT_MS,
    signal: options.signal,
    // A primary finishes the segment when the backup ends; a standby cannot.
    finishedOnly: role === 'primary',
    trustsHeld: false,
  })
}

function step(options: TakeBackupOptions, name: BackupStep, text: string): void {
  options.onEvent({ kind: 'step', step: name, text })
}
