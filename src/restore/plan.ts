/**
 * The plan of a restore: which backup, along which timelines, which WAL, how many bytes, how long.
 * Made before a byte is written; `--plan`, the command and the tests share it. Whether the
 * directory can take it is directory.ts's question.
 */
import { isBackstayError } from '../errors/backstay-error.ts'
import { bytesBetween, formatLsn, type Lsn } from '../postgres/lsn.ts'
import { type BackupInfo, hasTruePages } from '../repository/backup-info.ts'
import { describeDamage } from '../backup/known-damage.ts'
import { stoppingHistories } from '../wal/damaged-histories.ts'
import { segmentFloor } from '../wal/wal-position.ts'
import { chooseBackup, type Choice } from './choose-backup.ts'
import type { RestoreSources } from './restore-sources.ts'
import { walFilesOf } from './path-files.ts'
import { estimateRestore, type RestoreEstimate } from './estimate.ts'
import { type RecoveryEnd, recoveryEnd } from './recovery-end.ts'
import type { TimelinePath } from './timeline-path.ts'
import type { RestoreTarget, RestoreWish, TargetAction } from './wish.ts'

/** What a restore will do. Plain data. */
export interface RestorePlan {
  readonly cluster: string
  readonly backup: BackupInfo
  /** The timeline recovery follows to its end. */
  readonly timeline: number
  readonly path: TimelinePath
  /** As wished. */
  readonly target: RestoreTarget
  /** As PostgreSQL is told it: a target at the end of WAL is named by its last record. */
  readonly stopAt: RestoreTarget
  readonly action: TargetAction
  readonly standbyMode: boolean
  /** A standby goes on to timelines that come later. */
  readonly followsLatest: boolean
  /**
   * The WAL recovery reads. `endLsn` is where it ends, or may end when later WAL arrives until
   * then.
   */
  readonly wal: {
    readonly startLsn: Lsn
    readonly endLsn: Lsn
    readonly bytes: number
    readonly segments: number
  }
  /**
   * Where replay ends: what it reached is compared with this. Undefined when the WAL that says so
   * cannot be read.
   */
  readonly end: RecoveryEnd | undefined
  /** When what is restored was, as far as it is known. */
  readonly timeUs: bigint | undefined
  readonly bytesToWrite: number
  /** From the repository's packs, compressed. */
  readonly bytesToRead: number
  readonly estimate: RestoreEstimate
  /** What the operator should know before going on, as sentences without full stop. */
  readonly warnings: readonly string[]
}

/**
 * Plans a restore; reads the catalogue's values and, where a target needs it, WAL.
 * @throws {BackstayError} BACKUP_MISSING, TARGET_UNREACHABLE with the nearest moments that can be
 * reached.
 */
export async function planRestore(
  wish: RestoreWish,
  sources: RestoreSources,
): Promise<RestorePlan> {
  const choice = await chooseBackup(wish, sources)
  const needed = { path: choice.path, wal: { endLsn: choice.endLsn } }
  const better = await sources.examine?.(walFilesOf(needed, sources.map.segmentBytes))
  if (better !== undefined) return await planRestore(wish, better)
  const { backup, endLsn } = choice
  const startLsn = segmentFloor(backup.startLsn, sources.map.segmentBytes)
  const walBytes = bytesBetween(startLsn, endLsn)
  const segments = Math.ceil(walBytes / sources.map.segmentBytes)
  const bytesToWrite = backup.bytes.database
  const end = await endOf(choice, sources)
  return {
    cluster: sources.cluster,
    backup,
    timeline: choice.timeline,
    path: choice.path,
    target: wish.target,
    stopAt: choice.target,
    action: wish.action,
    standbyMode: wish.standbyMode,
    followsLatest: wish.standbyMode && wish.timeline === 'latest',
    wal: { startLsn, endLsn, bytes: walBytes, segments },
    end: end.known,
    timeUs: choice.timeUs,
    bytesToWrite,
    bytesToRead: storedBytesOf(backup),
    estimate: estimateRestore({ bytesToWrite, files: backup.files, walBytes }),
    warnings: [...warningsOf(choice), ...damageOf(choice, sources), ...end.notes],
  }
}

interface PlannedEnd {
  readonly known: RecoveryEnd | undefined
  readonly notes: readonly string[]
}

/**
 * Damaged WAL does not keep a backup from being restored; it keeps anybody from saying where its
 * recovery has to end.
 */
async function endOf(choice: Choice, sources: RestoreSources): Promise<PlannedEnd> {
  try {
    return { known: await recoveryEnd(choice, sources.wal), notes: [] }
  } catch (error) {
    if (!isBackstayError(error, 'REPOSITORY_DAMAGED')) throw error
    return { known: undefined, notes: [`Where recovery ends cannot be said: ${error.message}`] }
  }
}

/** Bytes read from packs: each pack's share that this backup needs. */
function storedBytesOf(backup: BackupInfo): number {
  const shares = backup.packs.map((pack) =>
    pack.rawBytes === 0 ? 0 : (pack.storedBytes * pack.liveBytes) / pack.rawBytes,
  )
  return Math.round(shares.reduce((sum, share) => sum + share, backup.manifest.storedBytes))
}

function warningsOf(choice: Choice): string[] {
  const { backup } = choice
  const notes = [...earlierBuild(backup), ...choice.notes]
  if (backup.status !== 'bad-pages') return notes
  const [first] = backup.badPages.list
  const where = first === undefined ? '' : `, the first in "${first.path}" block ${first.block}`
  return [
    `Backup ${backup.id} holds ${backup.badPages.count} pages that were damaged on the server${where}`,
    ...notes,
  ]
}

/**
 * Earlier builds, and PostgreSQL's own program, take over pages of the reference that the server
 * had changed.
 */
function earlierBuild(backup: BackupInfo): string[] {
  if (hasTruePages(backup)) return []
  return [
    `Backup ${backup.id} is an incremental one of an earlier build, or of Barman, and may hold rows that were deleted, or hide others: restore a full one, or one of method page-lsn, where there is one. Else run VACUUM (DISABLE_PAGE_SKIPPING) in each database, and look for what should be gone`,
  ]
}

/**
 * What is known to keep this restore from ending well. It is made all the same: there may be no
 * other, and files can be mended.
 */
function damageOf({ backup, timeline }: Choice, { map, damage }: RestoreSources): string[] {
  const known = damage?.get(backup.id)
  const histories = stoppingHistories(map, { from: backup.timeline, to: timeline })
  return [
    ...(known === undefined ? [] : [describeDamage(backup.id, known).replace('b', 'B')]),
    ...histories.map(
      (name) =>
        `Recovery will stop when it asks for ${name}, which is damaged in the repository; put it back from the pg_wal of a server that was on that timeline, or back up one that is on it`,
    ),
  ]
}

/** The timelines passed through: `1 to 0/5000000, then 2`. */
export function describePath(path: TimelinePath): string {
  return path
    .map((part) =>
      part.to === undefined ? `${part.timeline}` : `${part.timeline} to ${formatLsn(part.to)}`,
    )
    .join(', then ')
}
