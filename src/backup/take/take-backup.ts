/**
 * Takes one backup: plan → receive → make durable → wait for its WAL → publish. Until the last step nothing is listed,
 * and whatever an interrupted backup leaves behind is removed by the next one.
 */
import { BackstayError, isBackstayError } from '../../errors/backstay-error.ts'
import { type BackupId, backupIdAt, type BackupInfo } from '../../repository/backup-info.ts'
import { listBackups, publishBackup } from '../../repository/catalogue.ts'
import { claimCluster, type ClusterRepository } from '../../repository/cluster-repository.ts'
import { collectGarbage, discardBackup } from '../../repository/garbage.ts'
import { takeLock } from '../../repository/lock.ts'
import { ReplicationConnection } from '../../wire/replication-connection.ts'
import type { BackupStep } from '../events.ts'
import { openPageProbe, wasTorn } from '../page-probe.ts'
import { isWalMissing, type WalAvailability } from '../wal-availability.ts'
import type { ReceivedBackup } from './backup-receiver.ts'
import { type BackupChoice, chooseReference } from './choose-reference.ts'
import { describeBackup } from './describe-backup.ts'
import { type ReceivedBy, receiveBackup } from './receive-backup.ts'
import { askServer, type BackedUpServer } from './server-facts.ts'
import type { TakeBackupOptions } from './take-options.ts'

const WAL_TIMEOUT_MS = 10 * 60_000

/** How long the WAL since the reference may lag behind the server when it is looked for. */
const CONTINUITY_TIMEOUT_MS = 15_000

/** Ids are seconds; two backups in one second, or a clock that went back, wait or fail. */
const ID_WAIT_MAX_MS = 5000

/**
 * Takes a backup and returns it as listed.
 * @throws {BackstayError} REPOSITORY_LOCKED, POSTGRES_IDENTITY, WAL_UNAVAILABLE, DISK_SPACE, STORE, …; the signal's reason.
 */
export async function takeBackup(options: TakeBackupOptions): Promise<BackupInfo> {
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
  return info
}

async function takeOrDiscard(context: TakeContext): Promise<BackupInfo> {
  const { cluster, id } = context
  try {
    const info = await takeWithId(context)
    await publishBackup(cluster, info)
    return info
  } catch (error) {
    // What cannot be removed now is removed by the next backup; the reason of the failure matters more.
    await discardBackup(cluster, id).catch(() => undefined)
    throw error
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
  const { options, cluster, server, id } = context
  const { clock } = options
  const planned = await planBackup(context)
  const startedAtMs = clock.now()
  step(options, 'receiving', 'Receiving')
  const receivedBy = await receiveBackup({ options, cluster, server, id, choice: planned })
  const finishedAtMs = clock.now()
  step(options, 'stored', 'All pages and the manifest are durable')
  const received = await dismissTornPages(context, receivedBy)
  await holdWal(context, received)
  step(options, 'wal-held', 'The WAL it needs is durable')
  const { choice, method } = receivedBy
  return describeBackup(
    { id, choice, method, server, received, startedAtMs, finishedAtMs },
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
async function planBackup(context: TakeContext): Promise<BackupChoice> {
  const { options, cluster, server, id } = context
  const backups = await listBackups(cluster)
  const wished = chooseReference(backups, server, { full: options.full })
  const missing = wished.type === 'full' ? undefined : await missingWal(context, wished)
  const choice: BackupChoice = missing === undefined ? wished : { type: 'full', because: missing }
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

/** Why the WAL since the reference cannot vouch for it; undefined when it is all held. */
async function missingWal(
  context: TakeContext,
  choice: Extract<BackupChoice, { type: 'changed-pages' }>,
): Promise<string | undefined> {
  const { signal } = context.options
  try {
    for (const range of choice.wal) {
      const wait = { timeoutMs: CONTINUITY_TIMEOUT_MS, signal, finishedOnly: true }
      await context.wal.ensure(range, wait)
    }
    return undefined
  } catch (error) {
    if (!isWalMissing(error)) throw error
    const why = error instanceof Error ? error.message : ''
    return `the WAL since backup ${choice.reference.id} is not held without a gap: ${why}`
  }
}

function describeChoice(choice: BackupChoice): string {
  if (choice.type === 'changed-pages') return `Changed pages since backup ${choice.reference.id}`
  return choice.because === null ? 'A full backup' : `A full backup: ${choice.because}`
}

/** Looks again at pages that arrived with a wrong checksum, when a role for that is given. */
async function dismissTornPages(
  { options }: TakeContext,
  { received }: ReceivedBy,
): Promise<ReceivedBackup> {
  const { badPages, start } = received
  if (badPages.count === 0 || options.probe === undefined) return received
  try {
    await using looking = await openPageProbe({ ...options.probe, signal: options.signal })
    const list = []
    for (const page of badPages.list) {
      if (!(await wasTorn(looking.probe, page, start.startLsn))) list.push(page)
    }
    const count = badPages.count - (badPages.list.length - list.length)
    return { ...received, badPages: { count, list } }
  } catch (error) {
    if (!(error instanceof BackstayError)) throw error
    const text = `Could not look again at ${badPages.count} bad pages: ${error.message}`
    options.onEvent({ kind: 'warning', text })
    return received
  }
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
  })
}

function step(options: TakeBackupOptions, name: BackupStep, text: string): void {
  options.onEvent({ kind: 'step', step: name, text })
}
