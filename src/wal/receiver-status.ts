/**
 * What a receiver tells others: a small JSON file in the spool folder, replaced whole, so that `backstay status` in another
 * process (or after a crash) can read it. It is news, not truth: nothing is decided from it that could lose WAL.
 */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { formatLsn, type Lsn, parseLsn } from '../postgres/lsn.ts'
import type { Clock } from '../util/clock.ts'

export const RECEIVER_STATES = [
  'starting',
  'connecting',
  'streaming',
  'waiting',
  'refused',
  'stopped',
] as const

/**
 * `streaming` with `lagBytes` above zero is catching up; `waiting` is the pause before the next attempt; `refused` is the same, but
 * somebody has to act (`lastError` says on what).
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

const FILE_NAME = 'status.json'
const LSN_KEYS = ['writeLsn', 'flushLsn', 'serverEndLsn'] as const

/** A receiver that published nothing for so long is dead or stuck. */
const STALE_AFTER_MS = 30_000

/** Whether the status was published so long ago that it no longer describes anything. */
export function isStale(status: ReceiverStatus, clock: Clock): boolean {
  return clock.now() - status.publishedAtMs > STALE_AFTER_MS
}

/** The status last published in `spoolDirectory`; undefined when there is none. Look at `isStale`. */
export async function readReceiverStatus(
  spoolDirectory: string,
): Promise<ReceiverStatus | undefined> {
  try {
    const path = join(spoolDirectory, FILE_NAME)
    const found = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>
    for (const key of LSN_KEYS) found[key] = parseLsn(String(found[key]))
    return found as unknown as ReceiverStatus
  } catch {
    // Not there, or written by another version: nobody depends on it.
    return undefined
  }
}

/** Replaces the published status. Not synced: after a power cut an old one is as good as none. */
export async function writeReceiverStatus(
  spoolDirectory: string,
  status: ReceiverStatus,
): Promise<void> {
  const path = join(spoolDirectory, FILE_NAME)
  const temporary = join(spoolDirectory, `.${FILE_NAME}`)
  const text = JSON.stringify(status, (_key, value: unknown) =>
    typeof value === 'bigint' ? formatLsn(value as Lsn) : value,
  )
  await writeFile(temporary, `${text}\n`, { mode: 0o600 })
  await rename(temporary, path)
}
