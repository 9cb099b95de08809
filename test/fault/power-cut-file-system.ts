/**
 * A file system in memory that loses power: what was not synced is gone afterwards, torn, or there by luck. It stops every
 * operation from a chosen one on, so that a test can cut the power at each point of a piece of work.
 *
 * Pessimistic like POSIX: a file's bytes are durable after fdatasync, a name after fsync of its folder.
 */
import { basename, dirname } from 'node:path'
import type { FileSystem, FolderItem, OpenFile } from '../../src/store/file-system.ts'

class File {
  bytes = Buffer.alloc(0)
  durable = Buffer.alloc(0)
  modifiedAtMs = 0
}

class Folder {
  names = new Map<string, File | Folder>()
  durable = new Map<string, File | Folder>()
}

const fail = (code: string): never => {
  throw Object.assign(new Error(code), { code })
}

/** Thrown by everything once the power is gone. */
export class PowerCut extends Error {}

/** How often the dice say yes: chances that something unsynced survived all the same. */
export type Luck = () => boolean

export class PowerCutFileSystem implements FileSystem {
  #root: Folder
  #operationsLeft: number
  /** Operations done so far. */
  operations = 0

  /** The power goes before operation number `cutAfter` + 1. */
  constructor(cutAfter = Number.POSITIVE_INFINITY, root = new Folder()) {
    this.#operationsLeft = cutAfter
    this.#root = root
  }

  /** The file system as it is found when the power is back. */
  afterPowerCut(luck: Luck): PowerCutFileSystem {
    return new PowerCutFileSystem(Number.POSITIVE_INFINITY, survivorsOf(this.#root, luck))
  }

  createFile(path: string): Promise<OpenFile> {
    return this.#do(() => {
      const folder = this.#folder(dirname(path))
      if (folder.names.has(basename(path))) fail('EEXIST')
      const file = new File()
      folder.names.set(basename(path), file)
      return this.#open(file)
    })
  }

  openFile(path: string): Promise<OpenFile> {
    return this.#do(() => this.#open(this.#file(path)))
  }

  facts(path: string): Promise<{ sizeBytes: number; modifiedAtMs: number }> {
    return this.#do(() => {
      const { bytes, modifiedAtMs } = this.#file(path)
      return { sizeBytes: bytes.length, modifiedAtMs }
    })
  }

  link(existing: string, path: string): Promise<void> {
    return this.#do(() => {
      const file = this.#file(existing)
      const folder = this.#folder(dirname(path))
      if (folder.names.has(basename(path))) fail('EEXIST')
      folder.names.set(basename(path), file)
    })
  }

  rename(existing: string, path: string): Promise<void> {
    return this.#do(() => {
      const file = this.#file(existing)
      this.#folder(dirname(existing)).names.delete(basename(existing))
      this.#folder(dirname(path)).names.set(basename(path), file)
    })
  }

  unlink(path: string): Promise<void> {
    return this.#do(() => {
      this.#file(path)
      this.#folder(dirname(path)).names.delete(basename(path))
    })
  }

  makeFolder(path: string): Promise<void> {
    return this.#do(() => {
      const parent = this.#folder(dirname(path))
      if (parent.names.has(basename(path))) fail('EEXIST')
      parent.names.set(basename(path), new Folder())
    })
  }

  removeFolder(path: string): Promise<void> {
    return this.#do(() => {
      if (this.#folder(path).names.size > 0) fail('ENOTEMPTY')
      this.#folder(dirname(path)).names.delete(basename(path))
    })
  }

  readFolder(path: string): Promise<FolderItem[]> {
    return this.#do(() =>
      [...this.#folder(path).names].map(([name, item]) => ({
        name,
        isFolder: item instanceof Folder,
      })),
    )
  }

  syncFolder(path: string): Promise<void> {
    return this.#do(() => {
      const folder = this.#folder(path)
      folder.durable = new Map(folder.names)
    })
  }

  #open(file: File): OpenFile {
    return {
      append: (parts) =>
        this.#do(() => {
          file.bytes = Buffer.concat([file.bytes, ...parts])
          file.modifiedAtMs += 1
        }),
      read: (position, target) =>
        this.#do(() => file.bytes.copy(target, 0, position, position + target.byteLength)),
      sync: () =>
        this.#do(() => {
          file.durable = file.bytes
        }),
      size: () => this.#do(() => file.bytes.length),
      close: () => Promise.resolve(),
    }
  }

  async #do<T>(work: () => T): Promise<T> {
    if (this.#operationsLeft <= 0) throw new PowerCut('the power is gone')
    this.#operationsLeft -= 1
    this.operations += 1
    return work()
  }

  #find(path: string): File | Folder {
    let at: File | Folder | undefined = this.#root
    for (const name of path.split('/').filter((part) => part !== '')) {
      if (!(at instanceof Folder)) fail('ENOTDIR')
      at = (at as Folder).names.get(name)
      if (at === undefined) fail('ENOENT')
    }
    return at as File | Folder
  }

  #file(path: string): File {
    const found = this.#find(path)
    return found instanceof File ? found : fail('EISDIR')
  }

  #folder(path: string): Folder {
    const found = this.#find(path)
    return found instanceof Folder ? found : fail('ENOTDIR')
  }
}

/** What is on the disk: synced names and bytes, and of the rest what luck lets through. */
function survivorsOf(folder: Folder, luck: Luck, seen = new Map<File, File>()): Folder {
  const after = new Folder()
  for (const name of new Set([...folder.names.keys(), ...folder.durable.keys()])) {
    const [now, synced] = [folder.names.get(name), folder.durable.get(name)]
    const item = now === synced || luck() ? now : synced
    if (item === undefined) continue
    after.names.set(
      name,
      item instanceof Folder ? survivorsOf(item, luck, seen) : survivingFile(item, luck, seen),
    )
  }
  after.durable = new Map(after.names)
  return after
}

function survivingFile(file: File, luck: Luck, seen: Map<File, File>): File {
  const known = seen.get(file)
  if (known !== undefined) return known
  const after = new File()
  // Unsynced bytes may be lost, there, or there as zeros: the length was written and the data was not.
  const unsynced = file.bytes.subarray(file.durable.length)
  const kept = luck()
    ? unsynced.subarray(0, Math.floor(unsynced.length / 2))
    : Buffer.alloc(luck() ? unsynced.length : 0)
  after.bytes = Buffer.concat([file.durable, kept])
  after.durable = after.bytes
  after.modifiedAtMs = file.modifiedAtMs
  seen.set(file, after)
  return after
}
