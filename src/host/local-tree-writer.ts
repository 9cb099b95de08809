/**
 * Fills a directory on this machine as fast as the disk takes it: large files are flushed as soon
 * as they end, beside the next ones, so that little is left for the sync at the end.
 */
import { constants, fchmodSync, fchownSync, openSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { filePath } from '../util/byte-path.ts'
import { fileError } from './file-error.ts'
import type { TreeFileAttributes, TreeWriter } from './host.ts'
import { syncFileSystems, syncPaths } from './sync-tree.ts'
import { TreeDirectories, type TreeDirectory, type TreeOwner } from './tree-directories.ts'
import { TreeFile } from './tree-file.ts'
import { treePathParts } from './tree-path.ts'

/**
 * Large files being flushed beside the current one: Node has four threads for such work, and others
 * need some.
 */
const FLUSHES_AT_ONCE = 2
/** A server's files are never set-id or sticky. */
const MODE_BITS = 0o777
/** Up to this many new paths are fsynced one by one; beyond it whole file systems are. */
const SINGLE_SYNCS = 64

/** Where the tree is and whose it becomes. */
export interface LocalTreeOptions {
  /** For messages. */
  readonly host: string
  readonly owner: TreeOwner
}

/** A `TreeWriter` of this machine. After the first failure every call throws that one. */
export class LocalTreeWriter implements TreeWriter {
  readonly #directories: TreeDirectories
  readonly #options: LocalTreeOptions
  readonly #unsynced = new Set<string>()
  readonly #flushing = new Set<Promise<void>>()
  #file: TreeFile | undefined
  #failure: { readonly error: unknown } | undefined

  private constructor(directories: TreeDirectories, options: LocalTreeOptions) {
    this.#directories = directories
    this.#options = options
  }

  /** Opens `directory` for filling; it must exist. */
  static open(directory: string, options: LocalTreeOptions): LocalTreeWriter {
    return new LocalTreeWriter(new TreeDirectories(directory, options.owner), options)
  }

  async makeDirectory(path: string, mode: number): Promise<void> {
    await this.#guard(`make directory "${path}"`, () => {
      this.#touch(this.#directories.give(treePathParts(path), mode & MODE_BITS).path)
    })
  }

  async makeLink(path: string, target: string): Promise<void> {
    await this.#guard(`make link "${path}"`, () => {
      const { directory, name } = this.#place(path)
      const real = join(directory.place, name)
      // It stays root's: a link has no descriptor to give it away by, and who made it means nothing
      // in its directory.
      symlinkSync(filePath(target), filePath(real))
      this.#touch(directory.path)
    })
  }

  async beginFile(path: string, attributes: TreeFileAttributes): Promise<void> {
    await this.#guard(`write "${path}"`, () => {
      if (this.#file !== undefined) throw this.#misuse(path, 'another file is being written')
      const { directory, name } = this.#place(path)
      const real = join(directory.path, name)
      const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants
      const fd = openSync(
        filePath(join(directory.place, name)),
        O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW,
        0o600,
      )
      this.#file = new TreeFile({ path: real, fd }, attributes)
      const { owner } = this.#options
      fchownSync(fd, owner.uid, owner.gid)
      fchmodSync(fd, attributes.mode & MODE_BITS)
      this.#touch(real)
    })
  }

  write(chunk: Uint8Array): void {
    this.#throwIfFailed()
    const file = this.#file
    if (file === undefined) throw this.#misuse('', 'no file was begun')
    try {
      file.write(chunk)
    } catch (error) {
      this.#fail(`write "${file.path}"`, error)
    }
  }

  async endFile(): Promise<void> {
    const file = this.#file
    if (file === undefined) throw this.#misuse('', 'no file was begun')
    await this.#guard(`write "${file.path}"`, async () => {
      file.complete()
      this.#file = undefined
      if (file.isLarge) await this.#flushBeside(file)
      else file.close()
    })
  }

  async sync(): Promise<void> {
    await this.#guard(`make "${this.#directories.root}" durable`, async () => {
      if (this.#file !== undefined) throw this.#misuse('', 'a file is being written')
      await Promise.all(this.#flushing)
      this.#throwIfFailed()
      if (this.#unsynced.size > SINGLE_SYNCS) await syncFileSystems(this.#directories.devices)
      else await syncPaths([...this.#unsynced])
      this.#unsynced.clear()
    })
  }

  async close(): Promise<void> {
    this.#file?.close()
    this.#file = undefined
    await Promise.all(this.#flushing)
    this.#directories.close()
  }

  /**
   * Flushes and closes `file` while the next one is written; waits only when too many are under
   * way.
   */
  async #flushBeside(file: TreeFile): Promise<void> {
    const flushing = file
      .flushAndClose()
      .catch((error: unknown) => {
        this.#failure ??= { error: fileError(this.#options.host, `write "${file.path}"`, error) }
      })
      .finally(() => this.#flushing.delete(flushing))
    this.#flushing.add(flushing)
    if (this.#flushing.size > FLUSHES_AT_ONCE) await Promise.race(this.#flushing)
    this.#throwIfFailed()
  }

  #place(path: string): { readonly directory: TreeDirectory; readonly name: string } {
    const parts = treePathParts(path)
    const name = parts.at(-1)
    if (name === undefined) throw this.#misuse(path, 'it is the directory itself')
    const directory = this.#directories.ensure(parts.slice(0, -1))
    this.#touch(directory.path)
    return { directory, name }
  }

  /** Remembers what `sync` must make durable; the tree's own entry has been since it was opened. */
  #touch(path: string): void {
    if (this.#unsynced.size > SINGLE_SYNCS) return
    this.#unsynced.add(path)
    if (path !== this.#directories.root) this.#unsynced.add(dirname(path))
  }

  async #guard(action: string, work: () => void | Promise<void>): Promise<void> {
    this.#throwIfFailed()
    try {
      await work()
    } catch (error) {
      this.#fail(action, error)
    }
  }

  /** The first failure is the one that is told from then on: what was written is of no use. */
  #fail(action: string, error: unknown): never {
    this.#failure ??= { error: fileError(this.#options.host, action, error) }
    throw this.#failure.error
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  #misuse(path: string, why: string): BackstayError {
    return new BackstayError('BUG', `Cannot write "${path}" into a tree: ${why}`)
  }
}
