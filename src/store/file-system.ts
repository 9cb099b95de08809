/**
 * The few file operations the disk store stands on, so that tests can put a file system that loses
 * power underneath. Nothing here retries, translates errors or decides about durability.
 */
import { close, constants, fchown, fdatasync, fstat, open, read, write, writev } from 'node:fs'
import {
  link,
  mkdir,
  open as openHandle,
  readdir,
  rename,
  rmdir,
  stat,
  unlink,
} from 'node:fs/promises'
import { basename } from 'node:path'
import { promisify } from 'node:util'
import { type HeldFolder, inFolderOf } from './held-folder.ts'
import { checkRegular, O_PATH } from '../util/read-regular.ts'

/** An open file. Calls may overlap, except writes. */
export interface OpenFile {
  /** Appends all parts. */
  append(parts: readonly Uint8Array[]): Promise<void>
  /**
   * Reads up to `target.length` bytes from `position`; resolves with the number read, 0 at the end.
   */
  read(position: number, target: Uint8Array): Promise<number>
  /** fdatasync. */
  sync(): Promise<void>
  size(): Promise<number>
  close(): Promise<void>
}

/** One name in a folder. */
export interface FolderItem {
  readonly name: string
  readonly isFolder: boolean
}

/** What is known of a file without opening it. */
export interface FileFacts {
  readonly sizeBytes: number
  readonly modifiedAtMs: number
}

/** A file system. Paths are absolute; errors are Node's, with `code`. */
export interface FileSystem {
  /** Makes a new file (0600) for appending; EEXIST when the name is taken. */
  createFile(path: string): Promise<OpenFile>
  /**
   * For reading; EINVAL for what is no file (a pipe, a device), which is not opened. A folder is
   * told by the first read.
   */
  openFile(path: string): Promise<OpenFile>
  facts(path: string): Promise<FileFacts>
  /** A second name in the same folder for a file; EEXIST when that name is taken. */
  link(existing: string, path: string): Promise<void>
  /** Gives a file another name in the same folder, in place of what has that name. */
  rename(existing: string, path: string): Promise<void>
  unlink(path: string): Promise<void>
  /** Makes one folder (0700); EEXIST when it is there. */
  makeFolder(path: string): Promise<void>
  /** Removes an empty folder; ENOTEMPTY when it is not. */
  removeFolder(path: string): Promise<void>
  readFolder(path: string): Promise<FolderItem[]>
  /** fsync of a folder: its names are durable afterwards. */
  syncFolder(path: string): Promise<void>
}

/**
 * Node's own. What changes a folder, and is done by root, is done in the folder held open
 * (held-folder.ts) and belongs to the folder's owner.
 */
export const nodeFileSystem: FileSystem = {
  createFile: async (path) =>
    inFolderOf(path, async (folder, name) => {
      const { O_WRONLY, O_CREAT, O_EXCL } = constants
      const fd = await openAsync(folder.at(name), O_WRONLY | O_CREAT | O_EXCL, 0o600)
      try {
        await giveToOwnerOf(folder, fd)
      } catch (error) {
        await closeAsync(fd)
        throw error
      }
      return openFile(fd)
    }),
  openFile: async (path) => openFile(await openRegular(path)),
  facts: async (path) => {
    const found = await stat(path)
    return { sizeBytes: found.size, modifiedAtMs: found.mtimeMs }
  },
  // Both names are in one folder.
  link: async (existing, path) =>
    inFolderOf(path, async (folder, name) => link(folder.at(basename(existing)), folder.at(name))),
  rename: async (existing, path) =>
    inFolderOf(path, async (folder, name) =>
      rename(folder.at(basename(existing)), folder.at(name)),
    ),
  unlink: async (path) => inFolderOf(path, async (folder, name) => unlink(folder.at(name))),
  makeFolder: async (path) =>
    inFolderOf(path, async (folder, name) => {
      await mkdir(folder.at(name), { mode: 0o700 })
      if (process.geteuid?.() !== ROOT) return
      const fd = await openAsync(folder.at(name), constants.O_DIRECTORY | constants.O_NOFOLLOW)
      try {
        await giveToOwnerOf(folder, fd)
      } finally {
        await closeAsync(fd)
      }
    }),
  removeFolder: async (path) => inFolderOf(path, async (folder, name) => rmdir(folder.at(name))),
  readFolder: async (path) =>
    (await readdir(path, { withFileTypes: true })).map((item) => ({
      name: item.name,
      isFolder: item.isDirectory(),
    })),
  syncFolder: async (path) => {
    const handle = await openHandle(path, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  },
}

const openAsync = promisify(open)
const closeAsync = promisify(close)
const syncAsync = promisify(fdatasync)
const statAsync = promisify(fstat)
const ownAsync = promisify(fchown)

const ROOT = 0

/**
 * What root makes in somebody else's folder is that one's: a lock of a root that was killed would
 * block the owner of a repository for good, and a file of root's be unreadable to him.
 */
async function giveToOwnerOf({ facts }: HeldFolder, fd: number): Promise<void> {
  if (process.geteuid?.() !== ROOT) return
  if (facts.uid !== ROOT) await ownAsync(fd, facts.uid, facts.gid)
}

/** As util/read-regular.ts does, by a descriptor. */
async function openRegular(path: string): Promise<number> {
  const named = await openAsync(path, O_PATH)
  try {
    checkRegular(await statAsync(named))
    return await openAsync(`/proc/self/fd/${named}`, constants.O_RDONLY | constants.O_NONBLOCK)
  } finally {
    await closeAsync(named)
  }
}

function openFile(fd: number): OpenFile {
  return {
    append: (parts) => appendAll(fd, parts),
    read: (position, target) => readAt(fd, position, target),
    sync: () => syncAsync(fd),
    size: async () => (await statAsync(fd)).size,
    close: () => closeAsync(fd),
  }
}

function readAt(fd: number, position: number, target: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    read(fd, target, 0, target.byteLength, position, (error, count) => {
      if (error === null) resolve(count)
      else reject(error)
    })
  })
}

/** The kernel takes at most this many parts in one call. */
const PARTS_PER_CALL = 1024

async function appendAll(fd: number, parts: readonly Uint8Array[]): Promise<void> {
  for (let from = 0; from < parts.length; from += PARTS_PER_CALL) {
    const group = parts.slice(from, from + PARTS_PER_CALL)
    const total = group.reduce((sum, part) => sum + part.byteLength, 0)
    const written = await appendOnce(fd, group)
    // A short write is legal (signal, quota about to be hit): the rest goes piece by piece, or
    // fails with its reason.
    if (written < total) await appendRest(fd, group, written)
  }
}

function appendOnce(fd: number, parts: Uint8Array[]): Promise<number> {
  return new Promise((resolve, reject) => {
    writev(fd, parts, (error, written) => {
      if (error === null) resolve(written)
      else reject(error)
    })
  })
}

async function appendRest(fd: number, parts: readonly Uint8Array[], skip: number): Promise<void> {
  let left = skip
  for (const part of parts) {
    let from = Math.min(left, part.byteLength)
    left -= from
    while (from < part.byteLength) from += await writeSome(fd, part, from)
  }
}

function writeSome(fd: number, part: Uint8Array, from: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, part, from, part.byteLength - from, null, (error, written) => {
      if (error === null) resolve(written)
      else reject(error)
    })
  })
}
