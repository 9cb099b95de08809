/**
 * The mark a clone leaves in the directory it fills, so that one that died is recognised and removed, and nothing else is.
 */
import { posix } from 'node:path'
import { BackstayError } from '../../errors/backstay-error.ts'
import type { Host } from '../../host/host.ts'
import { CONTROL_FILE_PATH } from '../../postgres/control-file.ts'
import { CLONE_MARK_NAME } from '../names.ts'
import { type CloneWorker, endWorker } from './clone-process.ts'

/** What the mark says. */
export interface CloneMark {
  readonly server: string
  readonly source: string
  readonly startedAt: string
  /** Tablespace directories the clone fills; they were empty before. */
  readonly tablespaces: readonly string[]
  /** Who fills it, when that is a process on the same machine. */
  readonly worker?: CloneWorker
}

/** PostgreSQL's own directory inside a tablespace. */
const TABLESPACE_CONTENT = /^PG_\d+_\d+$/

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
    return JSON.parse(text) as CloneMark
  } catch {
    return undefined
  }
}

/**
 * Ends who may still work on an unfinished clone without anybody waiting for it, and removes what it left.
 * @throws REPOSITORY_LOCKED when the worker cannot be ended; what `clearUnfinishedClone` throws.
 */
export async function removeUnfinishedClone(host: Host, directory: string): Promise<void> {
  const worker = (await readCloneMark(host, directory))?.worker
  if (worker !== undefined) await endWorker(host, worker)
  await clearUnfinishedClone(host, directory)
}

/**
 * Removes what an unfinished clone left, the mark last, so that a removal that dies is gone on with. The directory
 * itself stays: it may be a mount point.
 * @throws BUG when the directory is not an unfinished clone.
 */
export async function clearUnfinishedClone(host: Host, directory: string): Promise<void> {
  const names = (await host.list(directory)) ?? []
  const isWhole = (await host.inspect(posix.join(directory, CONTROL_FILE_PATH))) !== undefined
  if (!names.includes(CLONE_MARK_NAME) || isWhole) {
    throw new BackstayError('BUG', `Will not remove "${directory}": it is no unfinished clone`)
  }
  for (const tablespace of await readMarkedTablespaces(host, directory)) {
    const content = (await host.list(tablespace)) ?? []
    for (const name of content.filter((entry) => TABLESPACE_CONTENT.test(entry))) {
      await host.remove(posix.join(tablespace, name))
    }
  }
  for (const name of names.filter((entry) => entry !== CLONE_MARK_NAME)) {
    await host.remove(posix.join(directory, name))
  }
  await host.remove(posix.join(directory, CLONE_MARK_NAME))
}
