/**
 * What is wrong with the backup side, judged by everything that was promised: backups on time, a
 * receiver that receives, room for the next backup. Pure.
 */
import { Cron } from 'croner'
import type { BackupInfo } from '../repository/backup-info.ts'
import { formatDuration } from '../util/duration.ts'
import { formatSize } from '../util/size.ts'
import type { ReceiverState } from '../wal/receiver-status.ts'

const HOUR_MS = 3_600_000
/** WAL that has to fit beside the next backup, in segments. */
const SPARE_SEGMENTS = 16
/** The newest backups that say how large the next will be. */
const BACKUPS_LOOKED_AT = 3

/** The facts. Times are epoch milliseconds. */
export interface BackupFacts {
  readonly nowMs: number
  /** Cron expression; undefined: only when asked for. */
  readonly schedule: string | undefined
  readonly backups: readonly Pick<BackupInfo, 'startedAt' | 'finishedAt' | 'bytes' | 'postgres'>[]
  /**
   * What the receiver last said of itself, `stopped` when it fell silent; undefined when none ever
   * ran.
   */
  readonly receiver:
    | { readonly state: ReceiverState; readonly error: string | undefined }
    | undefined
  /** Free on the repository's file system. */
  readonly freeBytes: number
}

/** One sentence each; none when all is well. */
export function backupTroubles(facts: BackupFacts): readonly string[] {
  return [...receiverTroubles(facts), ...lateBackups(facts), ...roomTroubles(facts)]
}

function receiverTroubles({ receiver, schedule }: BackupFacts): readonly string[] {
  const jobs = schedule === undefined ? '' : ', and no scheduled backup is taken'
  if (receiver === undefined) return [`no WAL receiver has run here yet: backstay serve${jobs}`]
  const { state, error } = receiver
  const because = error === undefined ? '' : `: ${error}`
  if (state === 'stopped') return [`the WAL receiver does not run${because}; WAL piles up${jobs}`]
  if (state === 'refused') return [`the WAL receiver is refused${because}`]
  return error === undefined || state === 'streaming' ? [] : [`the WAL receiver failed${because}`]
}

function lateBackups({ schedule, backups, nowMs }: BackupFacts): readonly string[] {
  const last = backups.toSorted((a, b) => a.finishedAt.localeCompare(b.finishedAt)).at(-1)
  const dueAtMs = last && nextAtMs(schedule, Date.parse(last.startedAt))
  if (last === undefined || dueAtMs === undefined) return []
  const tookMs = Date.parse(last.finishedAt) - Date.parse(last.startedAt)
  const lateMs = nowMs - dueAtMs
  if (lateMs <= HOUR_MS + 2 * tookMs) return []
  return [
    `the newest backup began at ${last.startedAt}; the schedule "${schedule ?? ''}" wanted the next ${formatDuration(lateMs)} ago`,
  ]
}

function roomTroubles({ backups, freeBytes }: BackupFacts): readonly string[] {
  const newest = backups.toSorted((a, b) => b.finishedAt.localeCompare(a.finishedAt))
  const sizes = newest.slice(0, BACKUPS_LOOKED_AT).map(({ bytes }) => bytes.stored)
  const segmentBytes = newest[0]?.postgres.segmentBytes ?? 16 * 1024 * 1024
  const needed = Math.max(0, ...sizes) + SPARE_SEGMENTS * segmentBytes
  if (freeBytes >= needed) return []
  return [
    `the repository's disk has ${formatSize(freeBytes)} free; the next backup and its WAL need about ${formatSize(needed)}`,
  ]
}

/**
 * When a schedule runs next after a moment; undefined without one, or for an expression that is
 * none.
 */
export function nextAtMs(schedule: string | undefined, afterMs: number): number | undefined {
  if (schedule === undefined) return undefined
  try {
    return new Cron(schedule, { paused: true }).nextRun(new Date(afterMs))?.getTime()
  } catch {
    return undefined
  }
}
