/**
 * Making a tree of files durable: one syncfs(2) a file system through sync(1), or fsync of every
 * file where that is not to be had.
 */
import { close, constants, fsync, open } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { BackstayError } from '../errors/backstay-error.ts'
import { filePath, readItems } from '../util/byte-path.ts'
import { forEachBounded } from '../util/bounded.ts'
import { type ChildResult, runChild } from './child-process.ts'
import { errnoOf } from './file-error.ts'

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants
const openFile = promisify(open)
const closeFile = promisify(close)
const syncFile = promisify(fsync)

/** fsyncs under way at once: the journal of the file system commits them together. */
const SYNCS_AT_ONCE = 4
/** Writing out what the page cache of a large machine can hold takes minutes. */
const SYNC_TIMEOUT_MS = 3_600_000

/**
 * fsyncs each of `paths` (files or directories; links are skipped).
 * @throws Node's error of the first that fails.
 */
export async function syncPaths(paths: readonly string[]): Promise<void> {
  await forEachBounded(paths, SYNCS_AT_ONCE, syncPath)
}

/**
 * Makes everything on the file systems of `directories` durable, trees below them included. syncfs
 * reports write errors since Linux 5.8; PostgreSQL offers the same choice (initdb
 * --sync-method=syncfs).
 * @throws DISK_SPACE, FAILED when data could not be written.
 */
export async function syncFileSystems(directories: readonly string[]): Promise<void> {
  const result = await runSync(directories)
  if (result?.exitCode === 0) return
  const said = result?.stderr.toString().trim() ?? ''
  if (result === undefined || /(invalid|unrecognized) option|^usage:/im.test(said)) {
    for (const directory of directories) await syncTree(directory)
    return
  }
  const full = /no space|quota/i.test(said)
  throw new BackstayError(
    full ? 'DISK_SPACE' : 'FAILED',
    `Cannot make "${directories.join('", "')}" durable: ${said}`,
  )
}

async function runSync(directories: readonly string[]): Promise<ChildResult | undefined> {
  try {
    // `/.`: what was a directory can have become a link, and opening a device as root can do
    // something (a watchdog, a tape).
    const places = directories.map((directory) => `${directory}/.`)
    return await runChild(['sync', '-f', '--', ...places], {
      directory: '/',
      environment: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
      timeoutMs: SYNC_TIMEOUT_MS,
    })
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** fsyncs `directory` and everything below it. */
export async function syncTree(directory: string): Promise<void> {
  const items = await readItems(directory)
  const files = items.filter((item) => item.isFile())
  await syncPaths(files.map((item) => join(directory, item.name)))
  for (const item of items.filter((item) => item.isDirectory())) {
    await syncTree(join(directory, item.name))
  }
  await syncPath(directory)
}

async function syncPath(path: string): Promise<void> {
  // What was a file can have become a link or a pipe.
  const file = await openFile(filePath(path), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  try {
    await syncFile(file)
  } finally {
    await closeFile(file)
  }
}
