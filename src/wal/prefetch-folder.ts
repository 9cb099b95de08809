/**
 * The folder in which segments wait for recovery to ask for them: `pg_wal/.backstay/<boot id>/<segment>` in the data
 * directory being recovered, so that taking one is a rename. Files there are not synced; the boot id in the path makes sure that
 * none written before a power cut is ever looked at.
 */
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Clock } from '../util/clock.ts'
import { until } from '../util/until.ts'
import { writeWhole } from './write-whole.ts'

/** Below the folder of the file PostgreSQL wants (pg_wal). */
export const PREFETCH_FOLDER = '.backstay'
export const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id'

const OWNER_NAME = '.owner'
const SEGMENT_NAME = /^[0-9A-F]{24}$/
/** How long a segment that is being fetched is waited for before it is fetched anew. */
const IN_PROGRESS_TIMEOUT_MS = 5000

/** A prefetch folder. */
export interface PrefetchPlace {
  readonly directory: string
  readonly clock: Clock
}

/** The folder that belongs to a file PostgreSQL wants, for the present boot. */
export async function prefetchDirectoryFor(target: string): Promise<string> {
  const bootId = (await readFile(BOOT_ID_FILE, 'utf8')).trim()
  return join(dirname(target), PREFETCH_FOLDER, bootId)
}

/** Moves a prefetched segment to `target`; waits a little for one that is just being fetched. False when there is none. */
export async function takePrefetched(
  place: PrefetchPlace,
  name: string,
  target: string,
): Promise<boolean> {
  const path = join(place.directory, name)
  const isComing = (): boolean => existsSync(temporaryPath(place, name))
  if (!existsSync(path) && isComing() && (await isOwned(place))) {
    const options = { clock: place.clock, timeoutMs: IN_PROGRESS_TIMEOUT_MS, intervalMs: 2 }
    await until(() => existsSync(path) || !isComing(), options)
  }
  try {
    await rename(path, target)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

/** Makes the folder and declares `token` its only filler; the one before notices and ends. */
export async function ownFolder(place: PrefetchPlace, token: string): Promise<void> {
  await mkdir(place.directory, { recursive: true, mode: 0o700 })
  const path = join(place.directory, OWNER_NAME)
  await writeFile(`${path}.${token}`, token)
  await rename(`${path}.${token}`, path)
}

/** Whose folder it is; undefined when it has no owner or is gone. */
export async function ownerOf(place: PrefetchPlace): Promise<string | undefined> {
  return await readFile(join(place.directory, OWNER_NAME), 'utf8').catch(() => undefined)
}

/** Tokens begin with the pid of the filler. */
async function isOwned(place: PrefetchPlace): Promise<boolean> {
  const pid = Number.parseInt((await ownerOf(place)) ?? '', 10)
  return Number.isInteger(pid) && existsSync(`/proc/${pid}`)
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

function temporaryPath(place: PrefetchPlace, name: string): string {
  return join(place.directory, `.${name}.tmp`)
}
