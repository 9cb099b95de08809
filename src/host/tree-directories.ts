/**
 * The directories of a tree being written: made on the way, checked once each that no link leads out of the tree.
 */
import { chmodSync, chownSync, mkdirSync, realpathSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { errnoOf } from './file-error.ts'

/** Numbers of the OS user everything belongs to. */
export interface TreeOwner {
  readonly uid: number
  readonly gid: number
}

/** Knows which directories below `root` exist and are inside. Synchronous: a directory costs one or two system calls. */
export class TreeDirectories {
  /** Real path of the tree. */
  readonly root: string
  readonly #owner: TreeOwner | undefined
  readonly #inside = new Set<string>()
  readonly #byDevice = new Map<number, string>()

  /** `root` must exist. */
  constructor(root: string, owner: TreeOwner | undefined) {
    this.root = realpathSync(root)
    this.#owner = owner
    this.#accept(this.root)
  }

  /** One directory of each file system that the tree spreads over (`pg_wal` can be a mount). */
  get devices(): readonly string[] {
    return [...this.#byDevice.values()]
  }

  /**
   * The real path of the directory `parts` below the root, made with `mode` (missing parents with 0700) unless it is there.
   * @throws FAILED when a link leads out of the tree, or something else than a directory is in the way.
   */
  ensure(parts: readonly string[], mode = 0o700): string {
    const path = join(this.root, ...parts)
    if (this.#inside.has(path)) return path
    if (!this.#isThere(path)) {
      this.ensure(parts.slice(0, -1))
      this.#make(path, mode)
    }
    this.#accept(path)
    return path
  }

  #isThere(path: string): boolean {
    try {
      const real = realpathSync(path)
      if (real !== path && !real.startsWith(`${this.root}/`)) throw leaves(path, real)
      return true
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return false
      throw error
    }
  }

  #make(path: string, mode: number): void {
    mkdirSync(path, { mode })
    if (this.#owner !== undefined) chownSync(path, this.#owner.uid, this.#owner.gid)
    chmodSync(path, mode)
  }

  #accept(path: string): void {
    const found = statSync(path)
    if (!found.isDirectory()) {
      throw new BackstayError('FAILED', `Cannot write into "${path}": it is not a directory`)
    }
    this.#inside.add(path)
    if (!this.#byDevice.has(found.dev)) this.#byDevice.set(found.dev, path)
  }
}

function leaves(path: string, real: string): BackstayError {
  return new BackstayError(
    'FAILED',
    `Cannot write "${path}": a link leads out of it to "${real}"`,
    {
      hint: 'Tablespaces are written as trees of their own; remove the link or the directory.',
      details: { path, real },
    },
  )
}
