/**
 * The backup server's part of `status` and `check`: read from the repository and the receiver's
 * published status.
 */
import { describeDamage } from '../backup/known-damage.ts'
import type { BackupSideStatus } from './status.ts'
import type { BackupWanted, ClusterWanted } from '../cluster/wanted.ts'
import { isBackstayError } from '../errors/backstay-error.ts'
import { freeBytes } from '../host/local-files.ts'
import { formatLsn } from '../postgres/lsn.ts'
import type { BackupInfo } from '../repository/backup-info.ts'
import { type Catalogue, readCatalogue } from '../repository/catalogue.ts'
import { type ClusterRepository, openCluster } from '../repository/cluster-repository.ts'
import { type FailedJob, listFailedJobs } from '../repository/failed-jobs.ts'
import { loadSources } from '../restore/load-sources.ts'
import type { RestoreSources } from '../restore/restore-sources.ts'
import { isoTimeUs } from '../restore/target-time.ts'
import { timeOfEnd } from '../restore/window-time.ts'
import { storeAt } from '../store/address.ts'
import type { Clock } from '../util/clock.ts'
import { describeContested, listContested } from '../wal/contested.ts'
import { recoverableRange } from '../wal/continuity.ts'
import { describeDamagedWal } from '../wal/damaged-histories.ts'
import { loadLosses } from '../wal/losses.ts'
import { EXIT_MEANINGS } from '../errors/exit-meanings.ts'
import { backupTroubles, nextAtMs } from './backup-troubles.ts'
import { isStale, readReceiverStatus, type ReceiverStatus } from '../wal/receiver-status.ts'
import { spoolDirectoryOf } from '../wal/spool-place.ts'
import type { WalPosition } from '../wal/wal-position.ts'

/** The status of a repository on this machine. Its failure is one of the problems told. */
export async function readBackupStatus(
  { name }: ClusterWanted,
  backup: BackupWanted,
  clock: Clock,
): Promise<BackupSideStatus> {
  const store = storeAt(backup.repository)
  try {
    return await readStatus(backup, await openCluster(store, name, clock))
  } catch (error) {
    if (!isBackstayError(error)) throw error
    const isNew = error.code === 'REPOSITORY_MISSING'
    const problem = isNew ? 'the repository is not there yet' : error.message
    const nextBackupAt = timeText(nextAtMs(backup.schedule.backup, clock.now()))
    return { ...NOTHING_YET, server: backup.name, nextBackupAt, problems: [problem] }
  }
}

const NOTHING_YET = { lastBackup: undefined, receiver: undefined, window: undefined } as const

async function readStatus(
  { name: server, schedule }: BackupWanted,
  repository: ClusterRepository,
): Promise<BackupSideStatus> {
  const { store, names, clock } = repository
  const [{ backups, damaged }, sources, receiver] = await Promise.all([
    readCatalogue(repository),
    loadSources(repository),
    readReceiverStatus(spoolDirectoryOf({ store, names })),
  ])
  const { map, lines } = sources
  const infos = backups.map(({ info }) => info)
  const range = recoverableRange(infos, map, lines?.current)
  const first = infos.find(({ stopLsn }) => stopLsn === range?.from.lsn)
  const toTimeUs = first && range && (await timeOfEnd(first, range.to, sources))
  const losses = await loadLosses(repository, map, infos)
  const failedJobs = (await listFailedJobs(repository)).map(describeFailed)
  const badPages = damagedPages(backups[0]?.info)
  const damage = damageOf(damaged, sources)
  return {
    server,
    lastBackup: lastOf(infos),
    receiver: receiver === undefined ? undefined : receiverPart(receiver, clock),
    window: range && {
      from: describe(range.from),
      fromTime: first?.finishedAt ?? '',
      to: describe(range.to),
      toTime: toTimeUs === undefined ? undefined : isoTimeUs(toTimeUs),
      ageMs: receiver?.lastMessageAtMs && Math.max(0, clock.now() - receiver.lastMessageAtMs),
    },
    nextBackupAt: timeText(nextAtMs(schedule.backup, clock.now())),
    failedJobs,
    badPages,
    damage,
    problems: [
      ...damage,
      ...[badPages.problem].filter((problem) => problem !== undefined),
      ...failedJobs,
      ...losses.map(
        ({ timeline, startLsn, endLsn }) =>
          `WAL of timeline ${timeline} is missing from ${formatLsn(startLsn)} to ${formatLsn(endLsn)}`,
      ),
      ...(await listContested(repository)).map(describeContested),
      ...backupTroubles({
        nowMs: clock.now(),
        schedule: schedule.backup,
        backups: infos,
        receiver: receiver && {
          state: isStale(receiver, clock) ? 'stopped' : receiver.state,
          error: receiver.lastError?.message,
        },
        freeBytes: await freeBytes(store.location),
      }),
    ],
  }
}

/** Everything that is known to be damaged in the repository, a sentence each. */
function damageOf(unreadable: Catalogue['damaged'], { map, damage }: RestoreSources): string[] {
  return [
    ...unreadable.map(({ id, error }) => `backup ${id} is damaged: ${error.message}`),
    ...[...(damage ?? [])].map(([id, known]) => describeDamage(id, known)),
    ...(map.damaged ?? []).map(describeDamagedWal),
  ]
}

function describeFailed({ kind, at, exitCode }: FailedJob): string {
  const meaning = exitCode === null ? undefined : EXIT_MEANINGS[exitCode]
  const how =
    exitCode === null
      ? ''
      : ` (exit code ${exitCode}${meaning === undefined ? '' : `: ${meaning}`})`
  return `the scheduled ${kind} failed at ${at}${how}, and none has succeeded since; see the log of backstay serve`
}

function timeText(atMs: number | undefined): string | undefined {
  return atMs === undefined ? undefined : new Date(atMs).toISOString()
}

/** Those of the newest backup: what an older one holds was told when it was the newest. */
function damagedPages(newest: BackupInfo | undefined): NonNullable<BackupSideStatus['badPages']> {
  const [first] = newest?.badPages.list ?? []
  if (newest === undefined || first === undefined) return { count: 0, problem: undefined }
  const { count } = newest.badPages
  const pages = count === 1 ? '1 page' : `${count} pages`
  const problem = `backup ${newest.id} holds ${pages} that are damaged on the server, the first in "${first.path}" at block ${first.block}`
  return { count, problem }
}

function lastOf(infos: readonly BackupInfo[]): BackupSideStatus['lastBackup'] {
  const last = infos.toSorted((a, b) => a.finishedAt.localeCompare(b.finishedAt)).at(-1)
  return last && { id: last.id, endedAt: last.finishedAt, status: last.status }
}

function receiverPart(receiver: ReceiverStatus, clock: Clock): BackupSideStatus['receiver'] {
  return {
    state: isStale(receiver, clock) ? 'stopped' : receiver.state,
    flushedLsn: receiver.flushLsn === undefined ? undefined : formatLsn(receiver.flushLsn),
    lagBytes: receiver.lagBytes,
  }
}

function describe({ timeline, lsn }: WalPosition): string {
  return `${formatLsn(lsn)} (timeline ${timeline})`
}
