/**
 * File operations of the local driver: whole files replaced durably, directories, removal. Owners
 * are numbers here. Errors are Node's; local-host.ts translates them.
 */
import { randomBytes } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import {
  type FileHandle,
  lstat,
  mkdir,
  open,
  readlink,
  realpath,
  rename,
  rm,
  statfs,
} from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { filePath, readItems } from '../util/byte-path.ts'
import { openRegular, readUpTo } from '../util/read-regular.ts'
import { syncDirectory } from '../util/sync-directory.ts'
import { errnoOf } from './file-error.ts'
import { checkLimit, READ_LIMIT_BYTES } from './read-limit.ts'
import type { MissingPart } from './way-owner.ts'

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW

/** Mode and owner by numbers; undefined leaves them as they are. */
export interface NumericOwnership {
  readonly mode: number | undefined
  readonly owner: { readonly uid: number; readonly gid: number } | undefined
}

/**
 * Replaces the file `path` whole and durably; a process that dies inside leaves the old content and
 * at most a `.…tmp` file.
 */
export async function replaceFile(
  path: string,
  content: string | Uint8Array,
  ownership: NumericOwnership,
): Promise<void> {
  const old = await lstatIfAny(path)
  const kept = old?.isFile() === true ? old : undefined
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`)
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants
  const file = await open(filePath(temporary), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
  try {
    await fill(file, content, {
      mode: ownership.mode ?? (kept === undefined ? 0o600 : kept.mode & 0o7777),
      owner: ownership.owner ?? kept,
    })
    await rename(filePath(temporary), filePath(path))
  } catch (error) {
    await rm(filePath(temporary), { force: true })
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

/** A directory that is to be there, and what of it is not. */
export interface WantedDirectory {
  readonly path: string
  readonly missing: MissingPart | undefined
}

/**
 * Makes what is missing (0755) durably; gives the last one mode (0700 when new) and owner. Not
 * through a link that came in between, nor in a directory that somebody else made meanwhile.
 * @throws {BackstayError} DIRECTORY_OWNER then
 */
export async function makeDirectory(
  { path, missing }: WantedDirectory,
  ownership: NumericOwnership,
): Promise<void> {
  const { directory, isNew } =
    missing === undefined
      ? { directory: await open(await realpath(filePath(path), 'buffer'), DIRECTORY), isNew: false }
      : await makeParts(missing)
  try {
    const { owner } = ownership
    if (owner !== undefined && differs(await directory.stat(), owner)) {
      await directory.chown(owner.uid, owner.gid)
    }
    const mode = ownership.mode ?? (isNew ? 0o700 : undefined)
    if (mode !== undefined) await directory.chmod(mode)
  } finally {
    await directory.close()
  }
}

interface MadeDirectory {
  readonly directory: FileHandle
  readonly isNew: boolean
}

/** Each in the one before, which is held open. */
async function makeParts({ at, names }: MissingPart): Promise<MadeDirectory> {
  let made: MadeDirectory = { directory: await open(filePath(at), DIRECTORY), isNew: false }
  for (const name of names) {
    if (name === '.') continue
    try {
      const next = await makePart(made.directory, name)
      await made.directory.close()
      made = next
    } catch (error) {
      await made.directory.close()
      throw error
    }
  }
  return made
}

async function makePart(above: FileHandle, name: string): Promise<MadeDirectory> {
  const place = `/proc/self/fd/${above.fd}`
  const path = filePath(`${place}/${name}`)
  const isNew = await mkdir(path, { mode: 0o755 }).then(
    () => true,
    (error: unknown) => {
      if (errnoOf(error) === 'EEXIST' && name !== '..') return false
      throw error
    },
  )
  const directory = await open(path, DIRECTORY)
  const { uid } = await directory.stat()
  if (uid !== process.geteuid?.()) {
    await directory.close()
    throw new BackstayError(
      'DIRECTORY_OWNER',
      `Cannot use "${name}" in "${await readlink(place)}": user ${uid} made it while it was to be made`,
      { hint: 'Choose a place in which nobody else can make anything.' },
    )
  }
  // Whatever the umask is.
  if (isNew) await directory.chmod(0o755)
  await above.sync()
  return { directory, isNew }
}

/**
 * The content, or undefined when there is no such file. With `owner` only what is his, or root's
 * own and was put right there, is read; anything else is refused with EACCES. @throws
 * {BackstayError} FAILED when it is longer than `limitBytes`.
 */
export async function readWhole(
  path: string,
  options: { readonly owner?: number; readonly limitBytes?: number } = {},
): Promise<Buffer | undefined> {
  const { owner, limitBytes = READ_LIMIT_BYTES } = options
  const file = await unlessMissing(openRegular(path))
  if (file === undefined) return undefined
  try {
    if (owner !== undefined && !(await isOf(file, path, owner))) {
      throw Object.assign(new Error('permission denied'), { code: 'EACCES' })
    }
    const content = await unlessMissing(readUpTo(file, limitBytes + 1))
    return content && checkLimit(path, content, limitBytes)
  } finally {
    await file.close()
  }
}

/** A link that he put there could lead to any file of root's, a second name of one as well. */
async function isOf(file: FileHandle, path: string, owner: number): Promise<boolean> {
  const { uid, nlink } = await file.stat()
  if (uid === owner) return true
  return uid === 0 && nlink === 1 && (await readlink(`/proc/self/fd/${file.fd}`)) === path
}

/** Removes a file, link or tree durably. False when there was nothing. */
export async function removeTree(path: string): Promise<boolean> {
  if ((await lstatIfAny(path)) === undefined) return false
  await rm(filePath(path), { recursive: true, force: true, maxRetries: 3 })
  await syncDirectory(dirname(path))
  return true
}

/** Renames within a file system and syncs the directories of both names. */
export async function renameDurably(from: string, to: string): Promise<void> {
  await rename(filePath(from), filePath(to))
  await syncDirectory(dirname(to))
  if (dirname(from) !== dirname(to)) await syncDirectory(dirname(from))
}

/** Sorted names, or undefined when `path` is no directory. */
export async function listNames(path: string): Promise<string[] | undefined> {
  return (await unlessMissing(readItems(path)))?.map(({ name }) => name).sort()
}

/** What `path` is, without following a link; undefined when there is nothing. */
export async function lstatIfAny(path: string): Promise<Stats | undefined> {
  return unlessMissing(lstat(filePath(path)))
}

/**
 * Bytes an ordinary user may still write on the file system of `path` or of its nearest existing
 * parent.
 */
export async function freeBytes(path: string): Promise<number> {
  for (let at = path; ; at = dirname(at)) {
    const found = await unlessMissing(statfs(at))
    if (found !== undefined) return found.bavail * found.bsize
  }
}

/**
 * The answer, or undefined when the path leads to nothing. ESRCH: a file of /proc whose process
 * ended while it was read.
 */
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
