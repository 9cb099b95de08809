/**
 * Looks at a passive server and its primary: what is on both sides, and what is to be copied. What
 * local retention would remove at once is not.
 */
import { planExpiry } from '../../backup/retention.ts'
import type { BarmanServer } from '../../config/barman/model.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import {
  formatSegmentName,
  parseSegmentName,
  parseWalFileName,
} from '../../postgres/segment-name.ts'
import { type CataloguedBackup, parseBackupId } from '../../repository/backup-info.ts'
import { listBackups, readBackup } from '../../repository/catalogue.ts'
import {
  claimCluster,
  type ClusterRepository,
  openCluster,
} from '../../repository/cluster-repository.ts'
import { copyWalObject, listWalObjects, type WalObject } from '../../repository/copy.ts'
import { storedHistories } from '../../wal/held-wal.ts'
import { loadHeldNames } from '../../wal/load-continuity.ts'
import { loadLines } from '../../wal/load-lines.ts'
import type { BarmanContext } from '../context.ts'
import { policyOf } from '../server/backups.ts'
import { placeOf } from '../server/barman-place.ts'
import { askPlace, openPrimaryStore } from './primary-repository.ts'
import { primaryError, type PrimaryShell } from './primary-shell.ts'

/** A passive server and its primary: what is on both sides. Open until its scope ends. */
export interface PassivePair extends AsyncDisposable {
  readonly context: BarmanContext
  readonly server: BarmanServer
  readonly shell: PrimaryShell
  /** The primary's, which is only read. */
  readonly primary: ClusterRepository
  readonly cluster: ClusterRepository
  /** What the primary holds of WAL. */
  readonly wal: readonly WalObject[]
  /**
   * Backups the primary has and we have not, oldest first, without those local retention would
   * remove at once.
   */
  readonly missing: readonly CataloguedBackup[]
  /** Segments of the primary that nothing here would need. */
  readonly unneeded: ReadonlySet<string>
}

/**
 * Looks at both sides, and copies what tells of timelines.
 * @throws {BackstayError} HOST_COMMAND, POSTGRES_IDENTITY
 */
export async function pairUp(context: BarmanContext, server: BarmanServer): Promise<PassivePair> {
  const { config, signal } = context
  const shell = { command: server.primarySshCommand ?? '', signal }
  const configFile = server.forwardsConfigPath ? config.file : undefined
  const there = { name: server.name, configFile }
  const { store, name, clock } = placeOf(context, server)
  const { repository: _, cluster: called, ...identity } = await askPlace(shell, there)
  if (called !== name) {
    throw new BackstayError(
      'HOST_COMMAND',
      `Cannot copy server "${server.name}": the primary calls it "${called}", here it is "${name}"`,
    )
  }
  const source = openPrimaryStore(shell, there)
  try {
    const primary = await openCluster(source, name, clock)
    const cluster = await claimCluster({ store, name, clock, server: identity })
    const wal = await listWalObjects(primary)
    const known = { context, server, shell, primary, cluster, wal }
    await copyWal(known, (file) => parseWalFileName(file)?.kind === 'history')
    const plan = await planSync(known, await remoteBackups(known))
    const close = async (): Promise<void> => source[Symbol.asyncDispose]()
    return { ...known, ...plan, [Symbol.asyncDispose]: close }
  } catch (error) {
    await source[Symbol.asyncDispose]()
    signal.throwIfAborted()
    throw error
  }
}

/** Both sides before it is known what is to be copied. */
export type BothSides = Omit<PassivePair, 'missing' | 'unneeded' | typeof Symbol.asyncDispose>

/** Of what all backups say that are not held yet. */
const BACKUP_INFOS_BYTES_MAX = 512 * 1024 * 1024

/** Oldest first. */
async function remoteBackups({ shell, primary, cluster }: BothSides): Promise<CataloguedBackup[]> {
  const held = new Set((await listBackups(cluster)).map(({ info }) => info.id))
  const found: CataloguedBackup[] = []
  let bytes = 0
  for (const folder of await primary.store.listFolders(primary.names.backups)) {
    const id = parseBackupId(folder)
    if (id === undefined || held.has(id)) continue
    bytes += (await primary.store.size(primary.names.backupInfo(id))) ?? 0
    if (bytes > BACKUP_INFOS_BYTES_MAX) throw tooMuch(shell)
    const backup = await readBackup(primary, id)
    if (backup !== undefined) found.push(backup)
  }
  return found
}

function tooMuch({ command }: PrimaryShell): BackstayError {
  return new BackstayError(
    'HOST_COMMAND',
    `Cannot copy from "${command}": what it says of its backups is longer than ${BACKUP_INFOS_BYTES_MAX} bytes`,
  )
}

async function planSync(
  { context, server, cluster, wal }: BothSides,
  remote: readonly CataloguedBackup[],
): Promise<Pick<PassivePair, 'missing' | 'unneeded'>> {
  const policy = policyOf(server)
  if (policy === undefined) return { missing: remote, unneeded: new Set() }
  const { segmentBytes } = cluster.identity
  // A keep counts where it was said.
  const fresh = remote.map(({ info }) => ({ info, keep: undefined }))
  const backups = [...(await listBackups(cluster)), ...fresh]
  const segments = wal.flatMap(({ file }) => parseSegmentName(file, segmentBytes) ?? [])
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

/** Copies WAL that is not held. Returns how many files came. */
export async function copyWal(
  { context, shell, primary, cluster, wal }: BothSides,
  isWanted: (file: string) => boolean,
): Promise<number> {
  let files = 0
  for (const one of wal) {
    if (!isWanted(one.file)) continue
    if ((await cluster.store.size(one.object)) !== undefined) continue
    context.signal.throwIfAborted()
    if (!(await copyWalObject(primary.store, cluster, one))) throw gone(shell, one.object)
    files += 1
  }
  return files
}

/** It was there when it was listed, or a backup needs it. */
export function gone(shell: PrimaryShell, object: string): BackstayError {
  return primaryError(shell, `"${object}" is not there`)
}
