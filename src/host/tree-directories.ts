/**
 * The directories of a tree being written: made on the way, and held open, so that what is made in
 * one lands there whatever its name leads to meanwhile: they belong to an OS user who may exchange
 * them for links while root writes.
 */
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  mkdirSync,
  openSync,
  realpathSync,
} from 'node:fs'
import { join } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { filePath } from '../util/byte-path.ts'
import { errnoOf } from './file-error.ts'

/** Numbers of the OS user everything belongs to. */
export interface TreeOwner {
  readonly uid: number
  readonly gid: number
}

/** A directory of the tree that is open. */
export interface TreeDirectory {
  /** For messages and for syncing. */
  readonly path: string
  /** The same, by its descriptor: what is made below it is made in this directory and no other. */
  readonly place: string
}

/** A directory that somebody holds open. Threads of a process share its descriptors. */
export interface HeldDirectory {
  readonly path: string
  readonly fd: number
}

interface OpenDirectory extends TreeDirectory {
  readonly fd: number
}

/** Descriptors held at a time. */
const MOST_OPEN = 64
const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW

/**
 * Knows which directories below `root` exist and are inside. Synchronous: a directory costs a few
 * system calls. Must be closed.
 */
export class TreeDirectories {
  /** Real path of the tree. */
  readonly root: string
  readonly #owner: TreeOwner | undefined
  readonly #isBorrowed: boolean
  /** By path, the one used last at the end; the root is kept apart. */
  readonly #open = new Map<string, OpenDirectory>()
  readonly #root: OpenDirectory
  readonly #byDevice = new Map<number, string>()

  /**
   * `root` must exist; one that is open already stays its opener's to close. Without an owner
   * everything stays whose it is.
   * @throws HOST_PRIVILEGE when it is not the owner's: its name leads elsewhere than a moment ago.
   */
  constructor(root: string | HeldDirectory, owner: TreeOwner | undefined) {
    this.#owner = owner
    this.#isBorrowed = typeof root !== 'string'
    if (typeof root === 'string') {
      this.root = realpathSync(root)
      this.#root = this.#opened(this.root, this.root)
    } else {
      this.root = root.path
      this.#root = { ...root, place: placeOf(root.fd) }
    }
    const { uid } = fstatSync(this.#root.fd)
    if (owner === undefined || uid === owner.uid) return
    this.close()
    throw new BackstayError(
      'HOST_PRIVILEGE',
      `Cannot write into "${this.root}": it belongs to user ${uid}, not to user ${owner.uid}`,
    )
  }

  /** One directory of each file system that the tree spreads over (`pg_wal` can be a mount). */
  get devices(): readonly string[] {
    return [...this.#byDevice.values()]
  }

  /**
   * The directory `parts` below the root, made with `mode` (missing parents with 0700) unless it is
   * there. Valid until the next call.
   * @throws FAILED when a link, or something else than a directory, is in the way.
   */
  ensure(parts: readonly string[], mode = 0o700): TreeDirectory {
    const name = parts.at(-1)
    if (name === undefined) return this.#root
    const path = join(this.root, ...parts)
    const known = this.#open.get(path)
    if (known !== undefined) {
      this.#open.delete(path)
      this.#open.set(path, known)
      return known
    }
    const parent = this.ensure(parts.slice(0, -1))
    const place = join(parent.place, name)
    const isNew = makeIfMissing(place, mode)
    const directory = this.#opened(path, place)
    if (isNew) this.#give(directory.fd, mode)
    this.#keep(directory)
    return directory
  }

  /** Makes the directory `parts`, or gives one that is there mode and owner. */
  give(parts: readonly string[], mode: number): TreeDirectory {
    const directory = this.ensure(parts, mode)
    this.#give((this.#open.get(directory.path) ?? this.#root).fd, mode)
    return directory
  }

  close(): void {
    for (const { fd } of this.#open.values()) closeSync(fd)
    this.#open.clear()
    if (!this.#isBorrowed) closeSync(this.#root.fd)
  }

  #opened(path: string, place: string): OpenDirectory {
    const fd = openInside(path, place)
    const { dev } = fstatSync(fd)
    if (!this.#byDevice.has(dev)) this.#byDevice.set(dev, path)
    return { path, place: placeOf(fd), fd }
  }

  #give(fd: number, mode: number): void {
    const { uid, gid } = fstatSync(fd)
    const owner = this.#owner
    if (owner !== undefined && (uid !== owner.uid || gid !== owner.gid)) {
      fchownSync(fd, owner.uid, owner.gid)
    }
    fchmodSync(fd, mode)
  }

  #keep(directory: OpenDirectory): void {
    this.#open.set(directory.path, directory)
    for (const [path, { fd }] of this.#open) {
      if (this.#open.size <= MOST_OPEN) return
      closeSync(fd)
      this.#open.delete(path)
    }
  }
}

/**
 * What is looked up below it is looked up in the directory that is open, whatever its name leads
 * to.
 */
export function placeOf(fd: number): string {
  return `/proc/self/fd/${fd}`
}

function makeIfMissing(place: string, mode: number): boolean {
  try {
    mkdirSync(filePath(place), { mode })
    return true
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false
    throw error
  }
}

function openInside(path: string, place: string): number {
  try {
    return openSync(filePath(place), DIRECTORY)
  } catch (error) {
    // A link is ENOTDIR, too, when a directory is asked for.
    if (!['ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) throw error
    throw new BackstayError(
      'FAILED',
      `Cannot write into "${path}": a link or a file is where a directory should be`,
      {
        hint: 'Tablespaces are written as trees of their own; remove what is in the way.',
        details: { path },
        cause: error,
      },
    )
  }
}
