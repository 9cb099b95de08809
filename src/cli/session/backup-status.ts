/**
 * The backup server's part of `status` and `check`: read from the repository and the receiver's published status.
 */
import type { BackupStatus, BackupStatusProvider } from '../../cluster/status.ts'
import type { BackupWanted, ClusterWanted } from '../../cluster/wanted.ts'
import { isBackstayError } from '../../errors/backstay-error.ts'
import { formatLsn } from '../../postgres/lsn.ts'
import type { BackupInfo } from '../../repository/backup-info.ts'
import { readCatalogue } from '../../repository/catalogue.ts'
import { type ClusterRepository, openCluster } from '../../repository/cluster-repository.ts'
import { DiskStore } from '../../store/disk-store.ts'
import type { Clock } from '../../util/clock.ts'
import { findGaps, recoverableRange } from '../../wal/continuity.ts'
import { loadContinuity } from '../../wal/load-continuity.ts'
import { isStale, readReceiverStatus, type ReceiverStatus } from '../../wal/receiver-status.ts'
import type { WalPosition } from '../../wal/wal-position.ts'

/** Undefined when the cluster file has no backup part, or its repository is on another machine. */
export function backupStatusProvider(
  wanted: ClusterWanted,
  clock: Clock,
): BackupStatusProvider | undefined {
  const { backup } = wanted
  if (backup === undefined || !backup.host.local) return undefined
  return { backupStatus: async () => readBackupStatus(wanted, backup, clock) }
}

/** The status of a repository on this machine. Its failure is one of the problems told. */
export async function readBackupStatus(
  { name }: ClusterWanted,
  backup: BackupWanted,
  clock: Clock,
): Promise<BackupStatus> {
  const store = new DiskStore(backup.repository)
  try {
    return await readStatus(backup.name, await openCluster(store, name, clock))
  } catch (error) {
    if (!isBackstayError(error)) throw error
    const isNew = error.code === 'REPOSITORY_MISSING'
    const problem = isNew ? 'the repository is not there yet' : error.message
    return { ...NOTHING_YET, server: backup.name, problems: [problem] }
  }
}

const NOTHING_YET = { lastBackup: undefined, receiver: undefined, window: undefined } as const

async function readStatus(server: string, repository: ClusterRepository): Promise<BackupStatus> {
  const { store, names, clock } = repository
  const [{ backups, damaged }, map, receiver] = await Promise.all([
    readCatalogue(repository),
    loadContinuity(repository),
    readReceiverStatus(`${store.location}/${names.spool}`),
  ])
  const infos = backups.map(({ info }) => info)
  const range = recoverableRange(infos, map)
  return {
    server,
    lastBackup: lastOf(infos),
    receiver: receiver === undefined ? undefined : receiverPart(receiver, clock),
    window: range && {
      from: describe(range.from),
      fromTime: infos.find(({ stopLsn }) => stopLsn === range.from.lsn)?.finishedAt ?? '',
      to: describe(range.to),
      ageMs: receiver?.lastMessageAtMs && Math.max(0, clock.now() - receiver.lastMessageAtMs),
    },
    problems: [
      ...damaged.map(({ id, error }) => `backup ${id} is damaged: ${error.message}`),
      ...findGaps(map).map(
        ({ timeline, startLsn, endLsn }) =>
          `WAL of timeline ${timeline} is missing from ${formatLsn(startLsn)} to ${formatLsn(endLsn)}`,
      ),
      ...(receiver?.lastError === undefined || receiver.state === 'streaming'
        ? []
        : [`the WAL receiver failed: ${receiver.lastError.message}`]),
    ],
  }
}

function lastOf(infos: readonly BackupInfo[]): BackupStatus['lastBackup'] {
  const last = infos.toSorted((a, b) => a.finishedAt.localeCompare(b.finishedAt)).at(-1)
  return last && { id: last.id, endedAt: last.finishedAt, status: last.status }
}

function receiverPart(receiver: ReceiverStatus, clock: Clock): BackupStatus['receiver'] {
  return {
    state: isStale(receiver, clock) ? 'stopped' : receiver.state,
    flushedLsn: receiver.flushLsn === undefined ? undefined : formatLsn(receiver.flushLsn),
    lagBytes: receiver.lagBytes,
  }
}

function describe({ timeline, lsn }: WalPosition): string {
  return `${formatLsn(lsn)} (timeline ${timeline})`
}
