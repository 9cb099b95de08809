/**
 * A store in a directory. Everything it reports as written is synced, folder included; nothing is
 * replaced unless asked for. Needs a file system with hard links.
 */
import { basename, dirname, join } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import { errnoOf, translateDiskError, translating } from './disk-error.ts'
import { DiskWriter } from './disk-writer.ts'
import { type FileSystem, nodeFileSystem, type OpenFile } from './file-system.ts'
import { type ProcessIdentity, thisProcess } from '../util/process-identity.ts'
import { readWhole } from './read-whole.ts'
import type {
  ObjectReader,
  ObjectWriter,
  PutOutcome,
  Store,
  StoreAddress,
  SweptLeftovers,
} from './store.ts'
import { temporaryName, writerLiveness } from './temporary-name.ts'

/** A leftover of another host is taken for dead when nothing was written into it for this long. */
const FOREIGN_LEFTOVER_MS = 24 * 3_600_000

/** How often making a folder is tried again when somebody removes it in between. */
const FOLDER_ATTEMPTS = 10

let temporaryNumber = 0

/** The directory need not exist before the first write. */
export class DiskStore implements Store {
  readonly location: string
  readonly address: StoreAddress
  readonly #files: FileSystem
  readonly #self: ProcessIdentity
  /**
   * An object at the top that was seen: while it is gone, so is the store (unmounted), and nothing
   * is made where it was.
   */
  #landmark: string | undefined
  /** Folders whose own names this process has synced. */
  readonly #durableFolders = new Set<string>()

  /** `directory`: absolute path. `files` is for tests. */
  constructor(directory: string, files: FileSystem = nodeFileSystem) {
    this.location = directory
    this.address = { kind: 'disk', directory }
    this.#files = files
    this.#self = thisProcess()
  }

  async put(name: string, content: Uint8Array): Promise<PutOutcome> {
    await using writer = await this.create(name)
    await writer.write([content])
    return await writer.commit()
  }

  /** @throws {BackstayError} as `create` */
  async replace(name: string, content: Uint8Array): Promise<void> {
    await using writer = await this.#writer(name)
    await writer.write([content])
    await writer.replace()
    await this.#requireLandmark(name)
  }

  /**
   * @throws {BackstayError} REPOSITORY_MISSING when the directory is not what it was when this was
   * opened; STORE, DISK_SPACE
   */
  async create(name: string): Promise<ObjectWriter> {
    return watched(await this.#writer(name), async () => {
      this.#noteLandmark(name)
      await this.#requireLandmark(name)
    })
  }

  async #writer(name: string): Promise<DiskWriter> {
    const path = this.#path(name)
    temporaryNumber += 1
    const temporary = join(
      dirname(path),
      temporaryName(basename(path), this.#self, temporaryNumber),
    )
    await this.#requireLandmark(name)
    return await translating(`write "${name}"`, async () => {
      for (let attempt = 1; ; attempt += 1) {
        try {
          await this.#makeFolder(dirname(path))
          return await DiskWriter.open(this.#files, { name, path, temporary })
        } catch (error) {
          // Another process deleted the last object of the folder and the folder with it.
          if (errnoOf(error) !== 'ENOENT' || attempt >= FOLDER_ATTEMPTS) throw error
          this.#durableFolders.clear()
          await this.#requireLandmark(name)
        }
      }
    })
  }

  async get(name: string, limitBytes: number): Promise<Buffer | undefined> {
    await using reader = await this.open(name)
    return reader && (await readWhole(reader, name, limitBytes))
  }

  async open(name: string): Promise<ObjectReader | undefined> {
    const file = await this.#ifThere(`read "${name}"`, () => this.#openFile(name))
    if (file !== undefined) this.#noteLandmark(name)
    return file === undefined ? undefined : await openReader(name, file)
  }

  async #openFile(name: string): Promise<OpenFile> {
    try {
      return await this.#files.openFile(this.#path(name))
    } catch (error) {
      if (errnoOf(error) !== 'EINVAL') throw error
      throw new BackstayError(
        'REPOSITORY_DAMAGED',
        `Cannot read "${name}" in "${this.location}": it is no regular file`,
        { cause: error },
      )
    }
  }

  async size(name: string): Promise<number | undefined> {
    const facts = await this.#ifThere(`read "${name}"`, () => this.#files.facts(this.#path(name)))
    return facts?.sizeBytes
  }

  async *list(folder: string): AsyncIterable<string> {
    for (const item of await this.#items(folder)) {
      const name = folder === '' ? item.name : `${folder}/${item.name}`
      if (item.isFolder) yield* this.list(name)
      else yield name
    }
  }

  async listObjects(folder: string): Promise<string[]> {
    return (await this.#items(folder)).filter((item) => !item.isFolder).map((item) => item.name)
  }

  async listFolders(folder: string): Promise<string[]> {
    return (await this.#items(folder)).filter((item) => item.isFolder).map((item) => item.name)
  }

  async delete(name: string): Promise<boolean> {
    const path = this.#path(name)
    if (name === this.#landmark) this.#landmark = undefined
    const gone = await this.#ifThere(`delete "${name}"`, async () => {
      await this.#files.unlink(path)
      await this.#files.syncFolder(dirname(path))
      return true
    })
    await this.#removeEmptyFolders(dirname(path))
    return gone ?? false
  }

  async sweep(folder: string, nowMs: number): Promise<SweptLeftovers> {
    let swept = { files: 0, bytes: 0 }
    const path = this.#path(folder)
    for (const item of (await this.#readFolder(path)) ?? []) {
      const found = item.isFolder
        ? await this.sweep(folder === '' ? item.name : `${folder}/${item.name}`, nowMs)
        : await this.#sweepFile(join(path, item.name), nowMs)
      swept = { files: swept.files + found.files, bytes: swept.bytes + found.bytes }
    }
    return swept
  }

  async #sweepFile(path: string, nowMs: number): Promise<SweptLeftovers> {
    const liveness = writerLiveness(basename(path), this.#self)
    const nothing = { files: 0, bytes: 0 }
    if (liveness === undefined || liveness === 'alive') return nothing
    const swept = await this.#ifThere(`delete "${path}"`, async () => {
      const facts = await this.#files.facts(path)
      if (liveness === 'unknown' && nowMs - facts.modifiedAtMs < FOREIGN_LEFTOVER_MS) return nothing
      await this.#files.unlink(path)
      return { files: 1, bytes: facts.sizeBytes }
    })
    return swept ?? nothing
  }

  /**
   * Makes `path` and what is missing above it; each name is synced before anything is put below it.
   * A folder that was there already is synced once too: the process that made it may not have come
   * to that yet.
   */
  async #makeFolder(path: string): Promise<void> {
    if (this.#durableFolders.has(path)) return
    const isInside = path.length > this.location.length
    if (isInside) await this.#makeFolder(dirname(path))
    const isNew = await this.#makeOneFolder(path)
    if (isNew || isInside) await this.#files.syncFolder(dirname(path))
    this.#durableFolders.add(path)
  }

  /** Also makes what is missing above the store's own directory. */
  async #makeOneFolder(path: string): Promise<boolean> {
    try {
      await this.#files.makeFolder(path)
      return true
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return false
      if (errnoOf(error) !== 'ENOENT' || path.length > this.location.length) throw error
      await this.#makeFolder(dirname(path))
      return await this.#makeOneFolder(path)
    }
  }

  async #removeEmptyFolders(path: string): Promise<void> {
    for (let at = path; at.length > this.location.length; at = dirname(at)) {
      // A link in a folder's place (ENOTDIR) is its owner's, and stays.
      try {
        await this.#files.removeFolder(at)
      } catch (error) {
        if (['ENOTEMPTY', 'EEXIST', 'EBUSY', 'ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? ''))
          return
        throw translateDiskError(`delete "${at}"`, error)
      }
    }
  }

  #noteLandmark(name: string): void {
    if (!name.includes('/')) this.#landmark ??= name
  }

  /** @throws {BackstayError} REPOSITORY_MISSING when the store is not where it was seen. */
  async #requireLandmark(name: string): Promise<void> {
    const landmark = this.#landmark
    if (landmark === undefined) return
    const action = `write "${name}"`
    const found = await this.#ifThere(action, () => this.#files.facts(this.#path(landmark)))
    if (found !== undefined) return
    throw new BackstayError(
      'REPOSITORY_MISSING',
      `Cannot ${action}: "${this.location}" is not the repository it was, "${landmark}" is gone`,
      { hint: 'Is its disk still mounted? Nothing was made in its place.' },
    )
  }

  async #items(folder: string): Promise<{ name: string; isFolder: boolean }[]> {
    const items = (await this.#readFolder(this.#path(folder))) ?? []
    return items
      .filter((item) => !item.name.startsWith('.'))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  #readFolder(path: string): Promise<{ name: string; isFolder: boolean }[] | undefined> {
    return this.#ifThere(`list "${path}"`, () => this.#files.readFolder(path))
  }

  async #ifThere<T>(action: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw translateDiskError(action, error)
    }
  }

  #path(name: string): string {
    if (name === '') return this.location
    if (name.split('/').some((part) => part === '' || part.startsWith('.'))) {
      throw new BackstayError('BUG', `Cannot use "${name}" as the name of an object`)
    }
    return join(this.location, name)
  }
}

/** The same writer; nothing counts as committed before `check` has passed. */
function watched(writer: ObjectWriter, check: () => Promise<void>): ObjectWriter {
  return {
    get position() {
      return writer.position
    },
    write: async (parts) => writer.write(parts),
    sync: async () => writer.sync(),
    commit: async () => {
      const outcome = await writer.commit()
      await check()
      return outcome
    },
    [Symbol.asyncDispose]: async () => writer[Symbol.asyncDispose](),
  }
}

async function openReader(name: string, file: OpenFile): Promise<ObjectReader> {
  const sizeBytes = await translating(`read "${name}"`, () => file.size())
  return {
    sizeBytes,
    read: (position, target) => readFully(name, file, { position, target }),
    [Symbol.asyncDispose]: () => file.close(),
  }
}

async function readFully(
  name: string,
  file: OpenFile,
  want: { position: number; target: Uint8Array },
): Promise<void> {
  const { position, target } = want
  let done = 0
  while (done < target.byteLength) {
    const rest = done === 0 ? target : target.subarray(done)
    const count = await translating(`read "${name}"`, () => file.read(position + done, rest))
    if (count === 0) {
      throw new BackstayError(
        'REPOSITORY_DAMAGED',
        `Cannot read "${name}": it ends at byte ${position + done}, ${target.byteLength - done} bytes are missing`,
      )
    }
    done += count
  }
}
