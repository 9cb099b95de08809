/**
 * An object being written to disk: temporary file → sync → link to its name → sync of the folder.
 */
import { dirname } from 'node:path'
import { errnoOf, translateDiskError, translating } from './disk-error.ts'
import type { FileSystem, OpenFile } from './file-system.ts'
import type { ObjectWriter, PutOutcome } from './store.ts'

/** Where an object goes. Paths are absolute; `temporary` is in the same folder as `path`. */
export interface WritePlace {
  readonly name: string
  readonly path: string
  readonly temporary: string
}

/** Writes one object. Made by `DiskWriter.open`. */
export class DiskWriter implements ObjectWriter {
  readonly #files: FileSystem
  readonly #place: WritePlace
  readonly #file: OpenFile
  #position = 0
  #state: 'open' | 'closed' | 'gone' = 'open'

  private constructor(files: FileSystem, place: WritePlace, file: OpenFile) {
    this.#files = files
    this.#place = place
    this.#file = file
  }

  /** Makes the temporary file; its folder must be there. */
  static async open(files: FileSystem, place: WritePlace): Promise<DiskWriter> {
    return new DiskWriter(files, place, await files.createFile(place.temporary))
  }

  get position(): number {
    return this.#position
  }

  async write(parts: readonly Uint8Array[]): Promise<void> {
    await this.#translating(() => this.#file.append(parts))
    this.#position += parts.reduce((sum, part) => sum + part.byteLength, 0)
  }

  sync(): Promise<void> {
    return this.#translating(() => this.#file.sync())
  }

  async commit(): Promise<PutOutcome> {
    try {
      await this.#file.sync()
      await this.#close()
      return await this.#name()
    } catch (error) {
      throw translateDiskError(`write "${this.#place.name}"`, error)
    }
  }

  /** `commit` in place of what has the name: at any moment one of the two is there, whole. */
  async replace(): Promise<void> {
    const { name, path, temporary } = this.#place
    await translating(`write "${name}"`, async () => {
      await this.#file.sync()
      await this.#close()
      await this.#files.rename(temporary, path)
      this.#state = 'gone'
      await this.#files.syncFolder(dirname(path))
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === 'gone') return
    // What is dropped need not be closed in order. What made it be dropped is the error to tell,
    // not that the rest failed as well; a file that cannot be removed is swept once this process is
    // gone.
    await this.#close().catch(() => undefined)
    this.#state = 'gone'
    await this.#files.unlink(this.#place.temporary).catch(() => undefined)
  }

  /**
   * link() fails when the name is taken, where rename() would replace: the only atomic "if it is
   * free" there is.
   */
  async #name(): Promise<PutOutcome> {
    const { path, temporary } = this.#place
    const outcome = await this.#files.link(temporary, path).then(
      () => 'stored' as const,
      (error: unknown) => {
        if (errnoOf(error) === 'EEXIST') return 'exists' as const
        throw error
      },
    )
    await this.#files.unlink(temporary)
    this.#state = 'gone'
    // Also when the name existed: its writer may have died before its own sync, and we are about to
    // rely on it.
    await this.#files.syncFolder(dirname(path))
    return outcome
  }

  async #close(): Promise<void> {
    if (this.#state !== 'open') return
    this.#state = 'closed'
    await this.#translating(() => this.#file.close())
  }

  #translating<T>(work: () => Promise<T>): Promise<T> {
    return translating(`write "${this.#place.name}"`, work)
  }
}
