/**
 * What a receiver tells others: a small JSON file in the spool folder, so that `backstay status` in
 * another process (or after a crash) can read it. It is news, not truth: nothing is decided from it
 * that could lose WAL. The file keeps the room it was given at the start: a receiver that is held
 * up by a full disk can still say so.
 */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { formatLsn, type Lsn, parseLsn } from '../postgres/lsn.ts'
import type { Clock } from '../util/clock.ts'
import type { WalPosition } from './wal-position.ts'
import { readRegular } from '../util/read-regular.ts'

const RECEIVER_STATES = [
  'starting',
  'connecting',
  'streaming',
  'waiting',
  'refused',
  'stopped',
] as const

/**
 * `streaming` with `lagBytes` above zero is catching up; `waiting` is the pause before the next
 * attempt; `refused` is the same, but somebody has to act (`lastError` says on what).
 */
export type ReceiverState = (typeof RECEIVER_STATES)[number]

/** The last thing that went wrong. */
export interface ReceiverProblem {
  readonly code: string
  readonly message: string
  readonly hint: string
  /** Epoch milliseconds. */
  readonly atMs: number
}

/** A receiver as it sees itself. Times are epoch milliseconds. */
export interface ReceiverStatus {
  readonly cluster: string
  readonly state: ReceiverState
  /** Address of the server it is connected to, `host:port`, or of all it may connect to. */
  readonly server: string
  readonly slot: string | undefined
  readonly pid: number
  readonly startedAtMs: number
  readonly timeline: number | undefined
  /** After the last byte received. */
  readonly writeLsn: Lsn | undefined
  /** After the last byte that is safe on disk: what was acknowledged. */
  readonly flushLsn: Lsn | undefined
  /**
   * The furthest that runs before this one acknowledged, and on which timeline: commits may rest on
   * it.
   */
  readonly earlierTimeline: number | undefined
  readonly earlierFlushLsn: Lsn | undefined
  /** End of the server's WAL when it last spoke. */
  readonly serverEndLsn: Lsn | undefined
  /** From `flushLsn` to `serverEndLsn`. */
  readonly lagBytes: number | undefined
  readonly connectedAtMs: number | undefined
  readonly lastMessageAtMs: number | undefined
  /** Finished segments in the spool that are not in the repository yet. */
  readonly waitingSegments: number
  /** Gaps recorded since this receiver started. */
  readonly newGaps: number
  readonly lastError: ReceiverProblem | undefined
  readonly publishedAtMs: number
}

/** Name of the file in the spool folder. */
export const RECEIVER_STATUS_FILE = 'status.json'
/** More is not read of a status, whoever wrote it. */
export const STATUS_BYTES_MAX = 64 * 1024
/**
 * The file is padded to a multiple of this: nearly every status fits into the first, which is
 * written over in place.
 */
const ROOM_BYTES = 4096
/** A read can meet a write in progress; one that follows at once does not meet the same. */
const READ_ATTEMPTS = 3
const LSN_KEYS = ['writeLsn', 'flushLsn', 'earlierFlushLsn', 'serverEndLsn'] as const

/** A receiver that published nothing for so long is dead or stuck. */
const STALE_AFTER_MS = 30_000

/** The furthest that it and the runs before it acknowledged; undefined when they never did. */
export function acknowledgedOf(status: ReceiverStatus): WalPosition | undefined {
  const { timeline, flushLsn, earlierTimeline, earlierFlushLsn } = status
  const now = timeline && flushLsn && { timeline, lsn: flushLsn }
  const earlier = earlierTimeline &&
    earlierFlushLsn && { timeline: earlierTimeline, lsn: earlierFlushLsn }
  if (!now || !earlier) return now || earlier || undefined
  const isFurther = earlier.timeline === now.timeline && earlier.lsn > now.lsn
  return isFurther ? earlier : now
}

/** Whether the status was published so long ago that it no longer describes anything. */
export function isStale(status: ReceiverStatus, clock: Clock): boolean {
  return clock.now() - status.publishedAtMs > STALE_AFTER_MS
}

/**
 * The status last published in `spoolDirectory`; undefined when there is none. Look at `isStale`.
 */
export async function readReceiverStatus(
  spoolDirectory: string,
): Promise<ReceiverStatus | undefined> {
  for (let attempt = 0; attempt < READ_ATTEMPTS; attempt += 1) {
    const text = await readRegular(
      join(spoolDirectory, RECEIVER_STATUS_FILE),
      STATUS_BYTES_MAX,
    ).catch(() => undefined)
    if (text === undefined) return undefined
    const status = decodeStatus(text.toString())
    if (status !== undefined) return status
  }
  // Written by another version, or the receiver died while writing: nobody depends on it.
  return undefined
}

/** Reads the text of the file; undefined when it is not whole, or of another version. */
export function decodeStatus(text: string): ReceiverStatus | undefined {
  try {
    const found = JSON.parse(text) as Record<string, unknown>
    for (const key of LSN_KEYS) found[key] = parseLsn(String(found[key]))
    return found as unknown as ReceiverStatus
  } catch {
    return undefined
  }
}

/**
 * Writes the published status over, in one call and in place: no room is needed but for the first.
 * Not synced: after a power cut an old one is as good as none. One writer at a time.
 */
export async function writeReceiverStatus(
  spoolDirectory: string,
  status: ReceiverStatus,
): Promise<void> {
  const content = padded(
    JSON.stringify(status, (_key, value: unknown) =>
      typeof value === 'bigint' ? formatLsn(value as Lsn) : value,
    ),
  )
  const flags = constants.O_WRONLY | constants.O_CREAT
  await using file = await open(join(spoolDirectory, RECEIVER_STATUS_FILE), flags, 0o600)
  await file.write(content, 0, content.length, 0)
  const { size } = await file.stat()
  if (size > content.length) await file.truncate(content.length)
}

function padded(text: string): Buffer {
  const bytes = Buffer.byteLength(text) + 1
  const content = Buffer.alloc(Math.ceil(bytes / ROOM_BYTES) * ROOM_BYTES, ' ')
  content.write(text)
  content.write('\n', content.length - 1)
  return content
}
