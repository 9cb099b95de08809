/**
 * Takes one Barman backup into the repository: receive → make durable → prove its WAL → publish →
 * keep → verify. Until it is published nothing is listed, and what an interrupted import leaves
 * behind is removed by the next one.
 */
import { loadDamage } from '../../backup/known-damage.ts'
import { BackupReceiver, type ReceivedBackup } from '../../backup/take/backup-receiver.ts'
import {
  type ChangedPagesChoice,
  chooseReference,
  type ReferenceChoice,
} from '../../backup/take/choose-reference.ts'
import { type BackupRecord, describeBackup } from '../../backup/take/describe-backup.ts'
import { type HeldReference, openReference } from '../../backup/take/open-reference.ts'
import { receiveOrFull } from '../../backup/take/receive-or-full.ts'
import type { BackedUpServer } from '../../backup/take/backed-up-server.ts'
import { judgeBadPages } from '../../backup/take/torn-pages.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { formatLsn } from '../../postgres/lsn.ts'
import { parseTimelineHistory } from '../../postgres/timeline.ts'
import type { BackupId, BackupInfo, BackupMethod } from '../../repository/backup-info.ts'
import { listBackups, publishBackup } from '../../repository/catalogue.ts'
import { type ClusterRepository, checkIdentity } from '../../repository/cluster-repository.ts'
import { PAGE_BYTES } from '../../repository/format.ts'
import { discardBackup } from '../../repository/garbage.ts'
import { DEFAULT_LEVEL } from '../../repository/codec.ts'
import { type ContinuityMap, rangeAt } from '../../wal/continuity.ts'
import type { WalRange } from '../../wal/wal-position.ts'
import type { BackupOrigin } from './backup-facts.ts'
import { type BackupData, feedBackup } from './backup-source.ts'
import type { BarmanBackup } from './barman-backup.ts'

/** One backup and where it goes. */
export interface BackupImport {
  readonly cluster: ClusterRepository
  readonly id: BackupId
  readonly backup: BarmanBackup
  readonly data: BackupData
  readonly facts: BackupOrigin
  /** WAL that is held. */
  readonly map: ContinuityMap
  /** What is said of it beside what it says itself. */
  readonly record: Omit<BackupRecord, 'label'>
  /** Compression threads. */
  readonly workers: number
  readonly signal: AbortSignal
  readonly onProgress: (receivedBytes: number) => void
}

/**
 * Imports it and lists it. The caller holds the catalogue's lock.
 * @throws {BackstayError} WAL_UNAVAILABLE, POSTGRES_IDENTITY, FAILED, DISK_SPACE, STORE; the
 * signal's reason.
 */
export async function importBackup(order: BackupImport): Promise<BackupInfo> {
  const { cluster, id, backup, facts, map } = order
  checkIdentity(cluster.identity, facts)
  checkWal(backup, map)
  try {
    const info = await receive(order)
    await publishBackup(cluster, info)
    return info
  } catch (error) {
    // What cannot be removed now is removed by the next import; the reason of the failure matters
    // more.
    await discardBackup(cluster, id).catch(() => undefined)
    throw error
  }
}

/** A backup is listed only when the WAL that makes it consistent is here. */
function checkWal({ id, timeline, startLsn, stopLsn }: BarmanBackup, map: ContinuityMap): void {
  if (isHeld({ timeline, startLsn, endLsn: stopLsn }, map)) return
  const endLsn = rangeAt(map, { timeline, lsn: startLsn })?.endLsn ?? startLsn
  throw new BackstayError(
    'WAL_UNAVAILABLE',
    `Cannot import backup ${id}: it needs WAL from ${formatLsn(startLsn)} to ${formatLsn(stopLsn)} on timeline ${timeline}, and there is none at ${formatLsn(endLsn)}`,
    { hint: 'Without that WAL the backup cannot be restored, by Barman neither.' },
  )
}

function isHeld({ timeline, startLsn, endLsn }: WalRange, map: ContinuityMap): boolean {
  const held = rangeAt(map, { timeline, lsn: startLsn })
  return held !== undefined && held.endLsn >= endLsn
}

/** A block-incremental one can only stand on its parent. */
async function receive(order: BackupImport): Promise<BackupInfo> {
  const { cluster, backup } = order
  if (backup.parent !== undefined) {
    const choice = await chooseParent(order, backup.parent)
    await using reference = await openReference(cluster, choice.reference)
    return await takeIn(order, { choice, method: 'incremental', reference })
  }
  return await receiveOrFull(order, await chooseWay(order), {
    full: async (choice) => takeIn(order, { choice, method: 'stream' }),
    changes: async (choice, reference) => takeIn(order, { choice, method: 'page-lsn', reference }),
  })
}

async function chooseParent(
  { cluster, backup }: BackupImport,
  id: string,
): Promise<ChangedPagesChoice> {
  const parent = (await listBackups(cluster)).find(({ info }) => info.id === id)
  if (parent !== undefined) {
    return { type: 'changed-pages', reference: parent.info, methods: ['page-lsn'], wal: [] }
  }
  throw new BackstayError(
    'FAILED',
    `Cannot import backup ${backup.id}: it is incremental, and its parent ${id} was not imported`,
  )
}

/** Whole, or only the pages that differ from an older backup. */
async function chooseWay({ cluster, backup, facts, map }: BackupImport): Promise<ReferenceChoice> {
  const backups = await listBackups(cluster)
  const server = await serverAt(cluster, backup, facts)
  const damage = await loadDamage(
    cluster,
    backups.map(({ info }) => info),
  )
  const choice = chooseReference(backups, server, { full: false, damage })
  if (choice.type === 'full' || choice.wal.every((range) => isHeld(range, map))) return choice
  const because = `the WAL since backup ${choice.reference.id} is not held without a gap`
  return { type: 'full', because }
}

/** The server as it was when the backup ended. */
async function serverAt(
  cluster: ClusterRepository,
  backup: BarmanBackup,
  facts: BackupOrigin,
): Promise<BackedUpServer> {
  const { timeline, stopLsn, versionNumber } = backup
  const historyContent = timeline === 1 ? undefined : await cluster.wal.getHistory(timeline)
  const read = historyContent && parseTimelineHistory(timeline, historyContent.toString())
  return {
    ...facts,
    versionNumber,
    timeline,
    history: read ?? { timeline, switches: [] },
    historyContent,
    flushLsn: stopLsn,
    blockBytes: PAGE_BYTES,
    summarizesWal: false,
  }
}

interface ImportWay {
  readonly choice: ReferenceChoice
  readonly method: BackupMethod
  readonly reference?: HeldReference
}

async function takeIn(order: BackupImport, way: ImportWay): Promise<BackupInfo> {
  const { cluster, id, backup, data, facts, signal } = order
  await using receiver = await BackupReceiver.create({
    cluster,
    id,
    method: way.method,
    reference: way.reference,
    dataChecksums: facts.dataChecksums,
    level: DEFAULT_LEVEL,
    workers: order.workers,
    onProgress: ({ receivedBytes }) => order.onProgress(receivedBytes),
  })
  const { manifestHolds } = await feedBackup(backup, data, {
    sink: receiver,
    identity: facts,
    signal,
  })
  const received = await receiver.finish()
  const { timeline, startLsn, stopLsn } = backup
  const range = { timeline, startLsn, endLsn: stopLsn }
  const judged = await judgeBadPages(cluster, range, received.badPages)
  return await describe(order, way, {
    ...received,
    ...judged,
    // Of an incremental one a manifest is made.
    serverManifest: received.serverManifest && (manifestHolds || way.method === 'incremental'),
  })
}

async function describe(
  { cluster, id, backup, facts, record }: BackupImport,
  { choice, method }: ImportWay,
  received: ReceivedBackup & Pick<BackupInfo, 'tornPages'>,
): Promise<BackupInfo> {
  return describeBackup(
    {
      id,
      choice,
      method,
      server: await serverAt(cluster, backup, facts),
      received,
      startedAtMs: backup.startedAt.getTime(),
      finishedAtMs: backup.finishedAt.getTime(),
    },
    { ...record, label: backup.name ?? null },
  )
}
