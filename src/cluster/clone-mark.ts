/**
 * The mark a clone leaves in the directory it fills, so that one that died is recognised and
 * removed, and nothing else is.
 */
import { posix } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import type { Host } from '../host/host.ts'
import { removeTablespaceContent } from '../host/tablespace-content.ts'
import { CONTROL_FILE_PATH } from '../postgres/control-file.ts'
import { CLONE_MARK_NAME } from './names.ts'
import { type CloneSpot, type CloneWorker, endWorker } from './clone-process.ts'

/** What the mark says. */
export interface CloneMark {
  readonly server: string
  readonly source: string
  readonly startedAt: string
  /**
   * Of PostgreSQL: a tablespace's directory may hold other majors' clusters too, as pg_upgrade
   * leaves them side by side.
   */
  readonly major: number
  /** Tablespace directories the clone fills. */
  readonly tablespaces: readonly string[]
  /** Who fills it, when that is a process on the same machine. */
  readonly worker?: CloneWorker
}

/** Puts the mark; from here on the directory is a clone in the making. */
export async function writeCloneMark(
  host: Host,
  directory: string,
  mark: CloneMark & { readonly owner: string },
): Promise<void> {
  const { owner, ...content } = mark
  const path = posix.join(directory, CLONE_MARK_NAME)
  await host.writeFile(path, `${JSON.stringify(content, undefined, 2)}\n`, { mode: 0o600, owner })
}

/** The tablespace directories a mark names; one that died while being written names none. */
export async function readMarkedTablespaces(
  host: Host,
  directory: string,
): Promise<readonly string[]> {
  return (await readCloneMark(host, directory))?.tablespaces ?? []
}

async function readCloneMark(host: Host, directory: string): Promise<CloneMark | undefined> {
  const text = (await host.readFile(posix.join(directory, CLONE_MARK_NAME)))?.toString() ?? ''
  try {
    return checked(JSON.parse(text) as CloneMark)
  } catch {
    return undefined
  }
}

/** It lies in a directory of PostgreSQL's user: what is no mark of ours names no tablespace. */
function checked(mark: CloneMark): CloneMark {
  const { tablespaces, major } = mark
  const isOurs =
    Number.isSafeInteger(major) &&
    Array.isArray(tablespaces) &&
    tablespaces.every((path) => typeof path === 'string' && path.startsWith('/'))
  return isOurs ? mark : { ...mark, tablespaces: [] }
}

/**
 * Ends who may still work on an unfinished clone without anybody waiting for it, and removes what
 * it left.
 * @throws REPOSITORY_LOCKED when the worker cannot be ended; what `clearUnfinishedClone` throws.
 */
export async function removeUnfinishedClone(host: Host, spot: CloneSpot): Promise<void> {
  const worker = (await readCloneMark(host, spot.directory))?.worker
  if (worker !== undefined) await endWorker(host, worker, spot)
  await clearUnfinishedClone(host, spot)
}

/**
 * Removes what an unfinished clone left, the mark last, so that a removal that dies is gone on
 * with. The directory itself stays: it may be a mount point.
 * @throws BUG when the directory is not an unfinished clone.
 */
export async function clearUnfinishedClone(host: Host, spot: CloneSpot): Promise<void> {
  const { directory } = spot
  const names = (await host.list(directory)) ?? []
  const isWhole = (await host.inspect(posix.join(directory, CONTROL_FILE_PATH))) !== undefined
  if (!names.includes(CLONE_MARK_NAME) || isWhole) {
    throw new BackstayError('BUG', `Will not remove "${directory}": it is no unfinished clone`)
  }
  await emptyTablespaces(host, spot)
  for (const name of names.filter((entry) => entry !== CLONE_MARK_NAME)) {
    await host.remove(posix.join(directory, name))
  }
  await host.remove(posix.join(directory, CLONE_MARK_NAME))
}

/** As PostgreSQL's OS user: the mark is his, and names what he may remove and nothing else. */
async function emptyTablespaces(host: Host, { directory, owner }: CloneSpot): Promise<void> {
  const mark = await readCloneMark(host, directory)
  if (mark === undefined) return
  for (const path of mark.tablespaces) {
    await removeTablespaceContent(host, { path, major: mark.major, user: owner })
  }
}
