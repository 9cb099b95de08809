/**
 * The folder in which segments wait for recovery to ask for them: `pg_wal/.backstay/<boot
 * id>/<segment>` in the data directory being recovered, so that taking one is a rename. Files there
 * are not synced; the boot id in the path makes sure that none written before a power cut is ever
 * looked at.
 */
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { formatSegmentName, parseSegmentName, type Segment } from '../postgres/segment-name.ts'
import type { Clock } from '../util/clock.ts'
import { until } from '../util/until.ts'
import { writeWhole } from './write-whole.ts'

/** Below the folder of the file PostgreSQL wants (pg_wal). */
export const PREFETCH_FOLDER = '.backstay'
/** Where Linux tells the id of the present boot. Source: random(4). */
export const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id'

const OWNER_NAME = '.owner'
const SEGMENT_NAME = /^[0-9A-F]{24}$/
/** How long a segment that is on its way is waited for before it is fetched anew. */
const COMING_TIMEOUT_MS = 5000
/** What a filler is about to fetch: recovery asks for one after the other. */
const SOON_SEGMENTS = 16n

/** A prefetch folder: where it is, how large its segments are, and the clock to wait by. */
export interface PrefetchPlace {
  readonly directory: string
  readonly segmentBytes: number
  readonly clock: Clock
}

/** The folder that belongs to a file PostgreSQL wants, for the present boot. */
export async function prefetchDirectoryFor(target: string): Promise<string> {
  const bootId = (await readFile(BOOT_ID_FILE, 'utf8')).trim()
  return join(dirname(target), PREFETCH_FOLDER, bootId)
}

/** Who fills a folder. */
export interface FolderOwner {
  /** Begins with the pid. */
  readonly token: string
  /**
   * The segment that will be fetched next: everything before it waits, is being fetched, or was
   * taken. Undefined at the end of WAL.
   */
  readonly next: Segment | undefined
}

/**
 * Names PostgreSQL gives to the file it wants; only the first is followed by more. Source:
 * xlogarchive.c.
 */
const RECOVERY_SEGMENT = 'RECOVERYXLOG'

/** Whether recovery will ask for the next segment after the one it wants at `target`. */
export function isFollowed(target: string): boolean {
  return basename(target) === RECOVERY_SEGMENT
}

/**
 * Starts a filler process and declares it at once, before the next call comes: that shall wait for
 * it instead of starting another.
 */
export async function beginPrefetch(
  place: PrefetchPlace,
  next: Segment,
  start: () => number | undefined,
): Promise<void> {
  const pid = start()
  if (pid !== undefined) await ownFolder(place, { token: fillerToken(pid), next })
}

/** Names a filler by its process; `number` tells several of one process apart. */
export function fillerToken(pid: number, number = 0): string {
  return `${pid}-${number}`
}

/** Declares the only filler of the folder; another one notices and ends. Makes the folder. */
export async function ownFolder(place: PrefetchPlace, owner: FolderOwner): Promise<void> {
  await mkdir(place.directory, { recursive: true, mode: 0o700 })
  const { token, next } = owner
  const path = join(place.directory, OWNER_NAME)
  const name = next === undefined ? '-' : formatSegmentName(next, place.segmentBytes)
  await writeFile(`${path}.${token}`, `${token} ${name}`)
  await rename(`${path}.${token}`, path)
}

/** Who fills the folder, dead or alive; undefined when nobody does or the folder is gone. */
export async function ownerOf(place: PrefetchPlace): Promise<FolderOwner | undefined> {
  const path = join(place.directory, OWNER_NAME)
  const text = await readFile(path, 'utf8').catch(() => undefined)
  const [token, name] = text?.split(' ') ?? []
  if (token === undefined || name === undefined) return undefined
  return { token, next: parseSegmentName(name, place.segmentBytes) }
}

/** Whether a segment waits, is being fetched, or will be soon by a filler that lives. */
export async function isCovered(place: PrefetchPlace, segment: Segment): Promise<boolean> {
  const name = formatSegmentName(segment, place.segmentBytes)
  if (existsSync(join(place.directory, name))) return true
  const owner = await ownerOf(place)
  if (owner === undefined || !isAlive(owner)) return false
  if (existsSync(temporaryPath(place, name))) return true
  const { next } = owner
  if (next?.timeline !== segment.timeline) return false
  return next.number <= segment.number && segment.number < next.number + SOON_SEGMENTS
}

function isAlive({ token }: FolderOwner): boolean {
  return existsSync(`/proc/${Number.parseInt(token, 10)}`)
}

/**
 * Moves a prefetched segment to `target`; waits for one that is on its way. False when there is
 * none.
 */
export async function takePrefetched(
  place: PrefetchPlace,
  segment: Segment,
  target: string,
): Promise<boolean> {
  const path = join(place.directory, formatSegmentName(segment, place.segmentBytes))
  const isHere = async (): Promise<boolean> =>
    existsSync(path) || !(await isCovered(place, segment))
  await until(isHere, { clock: place.clock, timeoutMs: COMING_TIMEOUT_MS, intervalMs: 2 })
  try {
    await rename(path, target)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

/** Names of the segments that wait, ascending; undefined when the folder is gone. */
export async function waitingSegments(place: PrefetchPlace): Promise<string[] | undefined> {
  try {
    return (await readdir(place.directory)).filter((name) => SEGMENT_NAME.test(name)).sort()
  } catch {
    return undefined
  }
}

/** Puts a whole segment into the folder. */
export async function addPrefetched(
  place: PrefetchPlace,
  name: string,
  content: Buffer,
): Promise<void> {
  await writeWhole(temporaryPath(place, name), join(place.directory, name), content)
}

/** Announces that a segment is being fetched, so that nobody else begins. */
export async function announcePrefetch(place: PrefetchPlace, name: string): Promise<void> {
  await writeFile(temporaryPath(place, name), '', { mode: 0o600 })
}

/** Takes the announcement back. */
export async function withdrawPrefetch(place: PrefetchPlace, name: string): Promise<void> {
  await rm(temporaryPath(place, name), { force: true })
}

/** Removes the folder with everything in it. */
export async function removeFolder(place: PrefetchPlace): Promise<void> {
  await rm(place.directory, { recursive: true, force: true })
}

/** The file that is there while segment `name` is being fetched. */
export function announcementName(name: string): string {
  return `.${name}.tmp`
}

function temporaryPath(place: PrefetchPlace, name: string): string {
  return join(place.directory, announcementName(name))
}
