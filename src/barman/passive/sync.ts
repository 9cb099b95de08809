/**
 * Keeps a passive server's part of the repository like the primary's: what is not held and what
 * local retention would not remove at once is copied. A backup is listed when all its objects and
 * its WAL are here and were read through.
 */
import { verifyBackup } from '../../backup/verify/verify-backup.ts'
import { planExpiry } from '../../backup/retention.ts'
import type { BarmanServer } from '../../config/barman/model.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { formatSegmentName, parseSegmentName, type Segment } from '../../postgres/segment-name.ts'
import { type BackupId, type BackupInfo, parseBackupId } from '../../repository/backup-info.ts'
import { decodeBackupInfo, listBackups } from '../../repository/catalogue.ts'
import { claimCluster, type ClusterRepository } from '../../repository/cluster-repository.ts'
import { collectGarbage, discardBackup } from '../../repository/garbage.ts'
import { takeLock } from '../../repository/lock.ts'
import { openSealedJson } from '../../repository/sealed-json.ts'
import { rangeAt } from '../../wal/continuity.ts'
import { storedHistories } from '../../wal/held-wal.ts'
import { loadHeldNames } from '../../wal/load-continuity.ts'
import { loadLines } from '../../wal/load-lines.ts'
import { loadContinuity } from '../../wal/load-continuity.ts'
import type { BarmanContext } from '../context.ts'
import { policyOf } from '../server/backups.ts'
import { placeOf } from '../server/barman-place.ts'
import { StoringTaker, storeWalObject, walObjectBytesMax, WholeTaker } from './object-takers.ts'
import { askPlace, fetchObjects, listPrimary, type PrimaryPlace } from './primary-objects.ts'
import type { PrimaryShell } from './primary-shell.ts'

/** A passive server, its primary, and what is on both sides. */
export interface PassivePair {
  readonly context: BarmanContext
  readonly server: BarmanServer
  readonly shell: PrimaryShell
  readonly place: PrimaryPlace
  readonly cluster: ClusterRepository
  /** Objects the primary has. */
  readonly objects: ReadonlySet<string>
  /**
   * Backups the primary has and we have not, oldest first, without those local retention would
   * remove at once.
   */
  readonly missing: readonly RemoteBackup[]
  /** Segments of the primary that nothing here would need. */
  readonly unneeded: ReadonlySet<string>
}

/** A backup of the primary. */
export interface RemoteBackup {
  readonly info: BackupInfo
  /** Its backup.json as it is. */
  readonly content: Buffer
}

/** Looks at both sides. @throws {BackstayError} HOST_COMMAND, POSTGRES_IDENTITY */
export async function pairUp(context: BarmanContext, server: BarmanServer): Promise<PassivePair> {
  const { config, signal } = context
  const shell = { command: server.primarySshCommand ?? '', signal }
  const configFile = server.forwardsConfigPath ? config.file : undefined
  const place = await askPlace(shell, { name: server.name, configFile })
  const { store, name, clock } = placeOf(context, server)
  if (place.cluster !== name) {
    throw new BackstayError(
      'HOST_COMMAND',
      `Cannot copy server "${server.name}": the primary calls it "${place.cluster}", here it is "${name}"`,
    )
  }
  const { systemIdentifier, major, segmentBytes } = place
  const identity = { systemIdentifier, major, segmentBytes }
  const cluster = await claimCluster({ store, name, clock, server: identity })
  const objects = await listPrimary(shell, place)
  const known = { context, server, shell, place, cluster, objects }
  await copyHistories(known)
  const remote = await remoteBackups(known)
  return { ...known, ...(await planSync(known, remote)) }
}

type Known = Omit<PassivePair, 'missing' | 'unneeded'>

/** Of a backup.json: it names every pack of the backup. */
const BACKUP_INFO_BYTES_MAX = 64 * 1024 * 1024
/** A wish, and a reason that somebody typed. */
const KEEP_BYTES_MAX = 64 * 1024
/** Of all that are not held yet. */
const BACKUP_INFOS_BYTES_MAX = 512 * 1024 * 1024

async function copyHistories(known: Known): Promise<void> {
  await copyWalObjects(known, (name) => /\/wal\/[0-9A-F]{8}\.history\.zst$/.test(name))
}

async function remoteBackups(known: Known): Promise<RemoteBackup[]> {
  const { shell, place, objects, cluster } = known
  const held = new Set((await listBackups(cluster)).map(({ info }) => info.id as string))
  const names = [...objects].filter((name) => {
    const [, id] = /\/backups\/(\d{8}T\d{6})\/backup\.json$/.exec(name) ?? []
    return id !== undefined && !held.has(id)
  })
  const found: RemoteBackup[] = []
  let bytes = 0
  const taker = new WholeTaker(BACKUP_INFO_BYTES_MAX, async (name, content) => {
    bytes += content.length
    if (bytes > BACKUP_INFOS_BYTES_MAX) throw tooMuch(shell)
    found.push({ info: infoOf(cluster, name, content), content })
    await Promise.resolve()
  })
  await fetchObjects(shell, { place, names: names.sort() }, taker)
  return found
}

function tooMuch({ command }: PrimaryShell): BackstayError {
  return new BackstayError(
    'HOST_COMMAND',
    `Cannot copy from "${command}": what it says of its backups is longer than ${BACKUP_INFOS_BYTES_MAX} bytes`,
  )
}

function infoOf(cluster: ClusterRepository, name: string, content: Buffer): BackupInfo {
  const id = parseBackupId(/([^/]*)\/backup\.json$/.exec(name)?.[1] ?? '')
  if (id !== undefined) return decodeBackupInfo(cluster, id, openSealedJson(name, content))
  throw new BackstayError('REPOSITORY_DAMAGED', `Cannot use "${name}" of the primary`)
}

async function planSync(
  { context, server, cluster, objects }: Known,
  remote: readonly RemoteBackup[],
): Promise<Pick<PassivePair, 'missing' | 'unneeded'>> {
  const policy = policyOf(server)
  if (policy === undefined) return { missing: remote, unneeded: new Set() }
  const { segmentBytes } = cluster.identity
  const fresh = remote.map(({ info }) => ({ info, keep: undefined }))
  const backups = [...(await listBackups(cluster)), ...fresh]
  const segments = [...objects].flatMap((name) => segmentOf(name, segmentBytes) ?? [])
  const { map } = await loadHeldNames(cluster)
  const infos = backups.map(({ info }) => info)
  const plan = planExpiry(
    {
      backups: backups.sort((a, b) => (a.info.id < b.info.id ? 1 : -1)),
      inUse: new Set(),
      segments,
      histories: await storedHistories(cluster),
      segmentBytes,
      nowMs: context.clock.now(),
      lines: await loadLines(cluster, map, infos),
    },
    policy,
  )
  const goes = new Set<string>(plan.expire.map(({ id }) => id))
  return {
    missing: remote.filter(({ info }) => !goes.has(info.id)),
    unneeded: new Set(plan.segments.map((segment) => formatSegmentName(segment, segmentBytes))),
  }
}

function segmentOf(name: string, segmentBytes: number): Segment | undefined {
  const [, segment] = /\/([0-9A-F]{24})\.zst$/.exec(name) ?? []
  return segment === undefined ? undefined : parseSegmentName(segment, segmentBytes)
}

/** Copies WAL that is not held. Returns how many files came. */
export async function syncWal(pair: PassivePair): Promise<number> {
  const lock = { name: 'sync-wal', mode: 'exclusive', purpose: 'copying WAL' } as const
  await using _lock = await takeLock(pair.cluster, lock)
  return await copyWalObjects(pair, (name) => {
    const [, segment = ''] = /\/([0-9A-F]{24})\.zst$/.exec(name) ?? []
    return !pair.unneeded.has(segment)
  })
}

async function copyWalObjects(
  { shell, place, cluster, objects }: Known,
  isWanted: (name: string) => boolean,
): Promise<number> {
  const { store, names: own } = cluster
  const names: string[] = []
  for (const name of [...objects].sort()) {
    if (!name.startsWith(`${own.wal}/`) || !isWanted(name)) continue
    if ((await store.size(name)) === undefined) names.push(name)
  }
  const taker = new WholeTaker(walObjectBytesMax(cluster), async (name, frame) =>
    storeWalObject(cluster, name, frame),
  )
  await fetchObjects(shell, { place, names }, taker)
  return names.length
}

/** Copies one backup and the WAL that makes it consistent, and lists it. */
export async function syncBackup(pair: PassivePair, backup: RemoteBackup): Promise<void> {
  const { cluster, context } = pair
  const { info } = backup
  const purpose = `copying backup ${info.id}`
  await using _lock = await takeLock(cluster, { name: 'catalogue', mode: 'exclusive', purpose })
  await collectGarbage(cluster)
  await copyOwnWal(pair, info)
  try {
    await copyData(pair, info)
    await cluster.store.put(cluster.names.backupInfo(info.id), backup.content)
    await verify(cluster, info.id, context.signal)
  } catch (error) {
    // What cannot be removed now is removed by the next copy; the reason of the failure matters
    // more.
    await discardBackup(cluster, info.id).catch(() => undefined)
    throw error
  }
}

async function copyOwnWal(pair: PassivePair, info: BackupInfo): Promise<void> {
  const { segmentBytes } = pair.cluster.identity
  await copyWalObjects(pair, (name) => {
    const segment = segmentOf(name, segmentBytes)
    const start = (segment?.number ?? -1n) * BigInt(segmentBytes)
    const isAfter = start + BigInt(segmentBytes) > info.startLsn
    return segment?.timeline === info.timeline && isAfter && start < info.stopLsn
  })
  const position = { timeline: info.timeline, lsn: info.startLsn }
  const held = rangeAt(await loadContinuity(pair.cluster), position)
  if (held !== undefined && held.endLsn >= info.stopLsn) return
  throw new BackstayError(
    'WAL_UNAVAILABLE',
    `Cannot copy backup ${info.id}: the WAL it needs is not held by the primary`,
  )
}

async function copyData(
  { shell, place, cluster, objects }: PassivePair,
  info: BackupInfo,
): Promise<void> {
  const { store, names } = cluster
  const wanted = new Map([
    ...info.packs.map((pack) => [names.pack(pack.name), pack.storedBytes] as const),
    [names.manifest(info.id), info.manifest.storedBytes],
    ...[names.keep(info.id)].flatMap((name) =>
      objects.has(name) ? [[name, KEEP_BYTES_MAX] as const] : [],
    ),
  ])
  const missing: string[] = []
  for (const name of wanted.keys()) if ((await store.size(name)) === undefined) missing.push(name)
  await using taker = new StoringTaker(cluster, wanted)
  await fetchObjects(shell, { place, names: missing }, taker)
}

async function verify(
  cluster: ClusterRepository,
  id: BackupId,
  signal: AbortSignal,
): Promise<void> {
  const sinceMs = undefined
  const options = { samplePercent: 100, seed: 0, sinceMs, signal, onProgress: () => {} }
  const { isGood, problems } = await verifyBackup(cluster, id, options)
  if (isGood) return
  const [first] = problems
  throw new BackstayError(
    'REPOSITORY_DAMAGED',
    `Backup ${id} was copied and is not right: "${first?.subject}": ${first?.problem}`,
  )
}
