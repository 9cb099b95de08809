/**
 * The directories of a restore, held open. They belong to the OS user who is to run the server, and
 * who can exchange what is in them, and often the directories themselves, for links while root
 * fills them: so nothing is reached by name, but by descriptors on from those that were found to be
 * his at the beginning.
 */
import { closeSync, constants, fstatSync, openSync, readlinkSync, realpathSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { errnoOf } from '../host/file-error.ts'
import {
  type HeldDirectory,
  placeOf,
  TreeDirectories,
  type TreeOwner,
} from '../host/tree-directories.ts'
import { linkedPlaces, type RestoreLayout } from './layout.ts'

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW

/** The directories themselves, open. Plain data for the workers. */
export interface HeldRoots {
  /**
   * Paths as they are reached from the data directory (`DATA/pg_tblspc/16384`), the data
   * directory's own last.
   */
  readonly roots: readonly HeldDirectory[]
  readonly owner: TreeOwner | undefined
}

/**
 * Opens the directories of `layout`, which are there. `isDelta`: a pg_wal that is a link stays one.
 * Close them with `closeRoots`.
 */
export function openRoots(
  layout: RestoreLayout,
  { owner, isDelta }: { readonly owner: TreeOwner | undefined; readonly isDelta: boolean },
): HeldRoots {
  const { directory } = layout
  const roots: HeldDirectory[] = []
  const open = (path: string, real: string): HeldDirectory => {
    const held = { path, fd: openOwn(real, owner) }
    roots.unshift(held)
    return held
  }
  try {
    const data = open(directory, directory)
    for (const place of linkedPlaces(layout)) open(join(directory, place.path), place.directory)
    const isPlaced = layout.walDirectory !== undefined
    const wal = isDelta && !isPlaced ? linkIn(data, 'pg_wal') : undefined
    if (wal !== undefined) open(join(directory, 'pg_wal'), wal)
    return { roots, owner }
  } catch (error) {
    closeRoots({ roots, owner })
    throw error
  }
}

/** Closes what `openRoots` opened. */
export function closeRoots({ roots }: HeldRoots): void {
  for (const { fd } of roots) closeSync(fd)
}

/**
 * Ways to what is in the held directories. Synchronous; a way is valid until the next call. Each
 * thread has its own. Must be closed.
 */
export class HeldPlaces {
  readonly #trees: readonly TreeDirectories[]

  /** The roots must stay open. */
  constructor({ roots, owner }: HeldRoots) {
    this.#trees = roots.map((root) => new TreeDirectories(root, owner))
  }

  /**
   * The way to the directory `path`, made with 0700 unless it is there.
   * @throws {BackstayError} FAILED when a link is in the way.
   */
  directory(path: string): string {
    const { tree, parts } = this.#find(path)
    return tree.ensure(parts).place
  }

  /** The way to something in a directory, by the last part of `path`, which can be anything. */
  item(path: string): string {
    return join(this.directory(dirname(path)), basename(path))
  }

  /** Makes the directory `path`, or gives one that is there mode and owner. */
  make(path: string, mode: number): void {
    const { tree, parts } = this.#find(path)
    tree.give(parts, mode)
  }

  close(): void {
    for (const tree of this.#trees) tree.close()
  }

  #find(path: string): { readonly tree: TreeDirectories; readonly parts: readonly string[] } {
    const tree = this.#trees.find(({ root }) => `${path}/`.startsWith(`${root}/`))
    if (tree === undefined) throw new BackstayError('BUG', `"${path}" is not part of the restore`)
    const parts = path.slice(tree.root.length).split('/')
    return { tree, parts: parts.filter((part) => part !== '') }
  }
}

function openOwn(path: string, owner: TreeOwner | undefined): number {
  const fd = openSync(realpathSync(path), DIRECTORY)
  const { uid } = fstatSync(fd)
  if (owner === undefined || uid === owner.uid) return fd
  closeSync(fd)
  throw new BackstayError(
    'DIRECTORY_OWNER',
    `Cannot restore into "${path}": it belongs to user ${uid}, not to user ${owner.uid}, who is to own it`,
    { details: { directory: path } },
  )
}

function linkIn(directory: HeldDirectory, name: string): string | undefined {
  try {
    return readlinkSync(join(placeOf(directory.fd), name))
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'EINVAL') return undefined
    throw error
  }
}
