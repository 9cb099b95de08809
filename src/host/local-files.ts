/**
 * File operations of the local driver: whole files replaced durably, directories, removal. Owners are numbers here.
 * Errors are Node's; local-host.ts translates them.
 */
import { randomBytes } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import {
  chmod,
  chown,
  type FileHandle,
  lstat,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  stat,
  statfs,
} from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { syncDirectory } from '../util/sync-directory.ts'
import { errnoOf } from './file-error.ts'

/** Mode and owner by numbers; undefined leaves them as they are. */
export interface NumericOwnership {
  readonly mode: number | undefined
  readonly owner: { readonly uid: number; readonly gid: number } | undefined
}

/** Replaces the file `path` whole and durably; a process that dies inside leaves the old content and at most a `.…tmp` file. */
export async function replaceFile(
  path: string,
  content: string | Uint8Array,
  ownership: NumericOwnership,
): Promise<void> {
  const old = await lstatIfAny(path)
  const kept = old?.isFile() === true ? old : undefined
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`)
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants
  const file = await open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
  try {
    await fill(file, content, {
      mode: ownership.mode ?? (kept === undefined ? 0o600 : kept.mode & 0o7777),
      owner: ownership.owner ?? kept,
    })
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await syncDirectory(dirname(path))
}

async function fill(
  file: FileHandle,
  content: string | Uint8Array,
  ownership: NumericOwnership,
): Promise<void> {
  try {
    await file.writeFile(content)
    if (ownership.owner !== undefined && differs(await file.stat(), ownership.owner)) {
      await file.chown(ownership.owner.uid, ownership.owner.gid)
    }
    // After chown, which clears set-id bits.
    if (ownership.mode !== undefined) await file.chmod(ownership.mode)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Makes `path` and its missing parents (0755) durably; gives the last one mode (0700 when new) and owner. */
export async function makeDirectory(path: string, ownership: NumericOwnership): Promise<void> {
  const made = await mkdir(path, { recursive: true, mode: 0o755 })
  const { owner } = ownership
  if (owner !== undefined && differs(await stat(path), owner)) {
    await chown(path, owner.uid, owner.gid)
  }
  const mode = ownership.mode ?? (made === undefined ? undefined : 0o700)
  if (mode !== undefined) await chmod(path, mode)
  if (made !== undefined) await finishParents(path, made)
}

/** Gives the parents that were made with `path`, from `first` down, their mode whatever the umask, and syncs their names. */
async function finishParents(path: string, first: string): Promise<void> {
  await syncDirectory(dirname(path))
  for (let at = path; at !== first && dirname(at) !== at;) {
    at = dirname(at)
    await chmod(at, 0o755)
    await syncDirectory(dirname(at))
  }
}

/** Removes a file, link or tree durably. False when there was nothing. */
export async function removeTree(path: string): Promise<boolean> {
  if ((await lstatIfAny(path)) === undefined) return false
  await rm(path, { recursive: true, force: true, maxRetries: 3 })
  await syncDirectory(dirname(path))
  return true
}

/** Renames durably. */
export async function renameDurably(from: string, to: string): Promise<void> {
  await rename(from, to)
  await syncDirectory(dirname(to))
  if (dirname(from) !== dirname(to)) await syncDirectory(dirname(from))
}

/** Sorted names, or undefined when `path` is no directory. */
export async function listNames(path: string): Promise<string[] | undefined> {
  return (await unlessMissing(readdir(path)))?.sort()
}

/** What `path` is, without following a link; undefined when there is nothing. */
export async function lstatIfAny(path: string): Promise<Stats | undefined> {
  return unlessMissing(lstat(path))
}

/** Bytes an ordinary user may still write on the file system of `path` or of its nearest existing parent. */
export async function freeBytes(path: string): Promise<number> {
  for (let at = path; ; at = dirname(at)) {
    const found = await unlessMissing(statfs(at))
    if (found !== undefined) return found.bavail * found.bsize
  }
}

/** The answer, or undefined when the path leads to nothing. ESRCH: a file of /proc whose process ended while it was read. */
export async function unlessMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === 'ENOENT' || errno === 'ENOTDIR' || errno === 'ESRCH') return undefined
    throw error
  }
}

function differs(found: Stats, wanted: { readonly uid: number; readonly gid: number }): boolean {
  return found.uid !== wanted.uid || found.gid !== wanted.gid
}
