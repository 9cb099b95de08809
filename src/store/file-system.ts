/**
 * The few file operations the disk store stands on, so that tests can put a file system that loses power
 * underneath. Nothing here retries, translates errors or decides about durability.
 */
import { close, constants, fdatasync, fstat, open, read, write, writev } from 'node:fs'
import { link, mkdir, open as openHandle, readdir, rmdir, stat, unlink } from 'node:fs/promises'
import { promisify } from 'node:util'

/** An open file. Calls may overlap, except writes. */
export interface OpenFile {
  /** Appends all parts. */
  append(parts: readonly Uint8Array[]): Promise<void>
  /** Reads up to `target.length` bytes from `position`; resolves with the number read, 0 at the end. */
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
  openFile(path: string): Promise<OpenFile>
  facts(path: string): Promise<FileFacts>
  /** A second name for a file; EEXIST when that name is taken. */
  link(existing: string, path: string): Promise<void>
  unlink(path: string): Promise<void>
  /** Makes one folder (0700); EEXIST when it is there. */
  makeFolder(path: string): Promise<void>
  /** Removes an empty folder; ENOTEMPTY when it is not. */
  removeFolder(path: string): Promise<void>
  readFolder(path: string): Promise<FolderItem[]>
  /** fsync of a folder: its names are durable afterwards. */
  syncFolder(path: string): Promise<void>
}

/** Node's own. */
export const nodeFileSystem: FileSystem = {
  createFile: (path) => openFd(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL),
  openFile: (path) => openFd(path, constants.O_RDONLY),
  facts: async (path) => {
    const found = await stat(path)
    return { sizeBytes: found.size, modifiedAtMs: found.mtimeMs }
  },
  link,
  unlink,
  makeFolder: async (path) => {
    await mkdir(path, { mode: 0o700 })
  },
  removeFolder: rmdir,
  readFolder: async (path) =>
    (await readdir(path, { withFileTypes: true })).map((item) => ({
      name: item.name,
      isFolder: item.isDirectory(),
    })),
  syncFolder: async (path) => {
    const handle = await openHandle(path, 'r')
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

async function openFd(path: string, flags: number): Promise<OpenFile> {
  const fd = await openAsync(path, flags, 0o600)
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
    // A short write is legal (signal, quota about to be hit): the rest goes piece by piece, or fails with its reason.
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
