/**
 * The plan of a restore: which backup, along which timelines, which WAL, how many bytes, how long. Made before a byte is
 * written; `--plan`, the command and the tests share it. Whether the directory can take it is directory.ts's question.
 */
import { bytesBetween, formatLsn, type Lsn } from '../postgres/lsn.ts'
import type { BackupInfo } from '../repository/backup-info.ts'
import { segmentFloor } from '../wal/wal-position.ts'
import { chooseBackup, type Choice, type RestoreSources } from './choose.ts'
import { estimateRestore, type RestoreEstimate } from './estimate.ts'
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
  /** The WAL recovery reads. `endLsn` is where it ends, or may end when later WAL arrives until then. */
  readonly wal: {
    readonly startLsn: Lsn
    readonly endLsn: Lsn
    readonly bytes: number
    readonly segments: number
  }
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
 * @throws {BackstayError} BACKUP_MISSING, TARGET_UNREACHABLE with the nearest moments that can be reached.
 */
export async function planRestore(
  wish: RestoreWish,
  sources: RestoreSources,
): Promise<RestorePlan> {
  const choice = await chooseBackup(wish, sources)
  const { backup, endLsn } = choice
  const startLsn = segmentFloor(backup.startLsn, sources.map.segmentBytes)
  const walBytes = bytesBetween(startLsn, endLsn)
  const segments = Math.ceil(walBytes / sources.map.segmentBytes)
  const bytesToWrite = backup.bytes.database
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
    timeUs: choice.timeUs,
    bytesToWrite,
    bytesToRead: storedBytesOf(backup),
    estimate: estimateRestore({ bytesToWrite, files: backup.files, walBytes }),
    warnings: warningsOf(choice),
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
  const { backup, notes } = choice
  if (backup.status !== 'bad-pages') return [...notes]
  const [first] = backup.badPages.list
  const where = first === undefined ? '' : `, the first in "${first.path}" block ${first.block}`
  return [
    `Backup ${backup.id} holds ${backup.badPages.count} pages that were damaged on the server${where}`,
    ...notes,
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
