/**
 * Waits for a server that starts, but not for one that cannot because its disk is full: PostgreSQL
 * tries again and again by itself, and pg_ctl would wait as long as it was told to.
 */
import { isBackstayError } from '../errors/backstay-error.ts'
import { systemClock } from '../util/clock.ts'
import {
  findTightDisk,
  fullDiskError,
  isDiskFull,
  SEGMENT_BYTES,
  type TightDisk,
  tellsNoSpace,
} from './full-disk.ts'
import type { PostgresInstance } from './postgres-instance.ts'
import { readLogAfter } from './server-log.ts'

const LOOK_EVERY_MS = 5000
/** What the log cannot say for want of room is believed after so many looks. */
const LOOKS_WITHOUT_LOG = 6

/** Where the server logs, and what ends the wait. */
export interface WatchedStart {
  readonly logFile: string
  /** Where the log ended before the start. */
  readonly position: number
  readonly signal?: AbortSignal | undefined
  /** Size of a WAL segment. Default 16 MB. */
  readonly segmentBytes?: number | undefined
}

/**
 * Waits for `start`. The server goes on starting when this gives up, and comes up by itself once
 * there is room.
 * @param start is given a signal that ends its waiting.
 * @throws DISK_SPACE when the server found no room and there still is none; what `start` throws.
 */
export async function watchStart<T>(
  instance: PostgresInstance,
  watched: WatchedStart,
  start: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const end = new AbortController()
  const { signal } = watched
  const both = signal === undefined ? end.signal : AbortSignal.any([end.signal, signal])
  const started = start(both)
  const noRoom = awaitFullDisk(instance, watched, both)
  try {
    return await Promise.race([started, noRoom])
  } finally {
    end.abort()
    await Promise.allSettled([started, noRoom])
  }
}

/** Never resolves. @throws DISK_SPACE; the signal's reason */
async function awaitFullDisk(
  instance: PostgresInstance,
  watched: WatchedStart,
  signal: AbortSignal,
): Promise<never> {
  const { host, directory, name } = instance
  for (let tight = 0; ;) {
    await systemClock.sleep(LOOK_EVERY_MS, signal)
    const disk = await findTightDisk(host, directory).catch(unseen)
    const isTight = disk !== undefined && disk.freeBytes < (watched.segmentBytes ?? SEGMENT_BYTES)
    tight = isTight ? tight + 1 : 0
    if (!isTight) continue
    const log = await readLogAfter(instance, watched.logFile, watched.position)
    const isSilent = tight >= LOOKS_WITHOUT_LOG && isDiskFull(log, disk)
    if (!tellsNoSpace(log) && !isSilent) continue
    throw fullDiskError(instance, {
      failed: `Server "${name}" does not come up`,
      disk,
      log,
      more: ' It goes on trying, and comes up by itself once there is room.',
    })
  }
}

/** That the host does not answer for a moment is for the start itself to tell. */
function unseen(error: unknown): TightDisk | undefined {
  if (isBackstayError(error)) return undefined
  throw error
}
