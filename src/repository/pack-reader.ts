/**
 * Reads units out of packs, each checked by its frame's checksum. Keeps a few decompressed units,
 * because a file's extents come back to the same unit again and again.
 */
import type { ObjectReader, Store } from '../store/store.ts'
import type { ClusterNames } from './format.ts'
import type { Extent, Unit } from './manifest-entry.ts'
import { describeUnit, openPack, readFrame, unitKey } from './pack-frame.ts'
import { decompressFrame } from './codec.ts'

/** Decompressed units kept, 512 KiB each. */
const CACHED_UNITS = 16

/** Packs kept open when nobody reads from them. */
const OPEN_PACKS = 64

interface PackBeingRead {
  readonly object: Promise<ObjectReader>
  /** Reads under way. */
  readers: number
}

/** Reads from the packs of one cluster. Calls may overlap; dispose when none is running. */
export class PackReader implements AsyncDisposable {
  readonly #store: Store
  readonly #names: ClusterNames
  readonly #units = new Map<string, Promise<Buffer>>()
  readonly #packs = new Map<string, PackBeingRead>()

  constructor(store: Store, names: ClusterNames) {
    this.#store = store
    this.#names = names
  }

  /**
   * The decompressed content of `unit`. Shared with other callers: read only, copy what must live
   * on.
   * @throws {BackstayError} REPOSITORY_DAMAGED
   */
  unit(unit: Unit): Promise<Buffer> {
    const key = unitKey(unit)
    const known = this.#units.get(key)
    if (known !== undefined) return touch(this.#units, key, known)
    const content = this.#readUnit(unit)
    // A failed read must not be remembered: the next caller asks the store again.
    content.catch(() => this.#units.delete(key))
    const [oldest] = this.#units.keys()
    if (oldest !== undefined && this.#units.size >= CACHED_UNITS) this.#units.delete(oldest)
    this.#units.set(key, content)
    return content
  }

  /** The bytes of one extent: a view with the ownership of `unit`. */
  async extent(extent: Extent): Promise<Buffer> {
    if (extent.unit === undefined) return Buffer.alloc(extent.length)
    const content = await this.unit(extent.unit)
    return content.subarray(extent.unitOffset, extent.unitOffset + extent.length)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const packs = await Promise.allSettled([...this.#packs.values()].map((pack) => pack.object))
    this.#packs.clear()
    this.#units.clear()
    for (const pack of packs) {
      if (pack.status === 'fulfilled') await pack.value[Symbol.asyncDispose]()
    }
  }

  async #readUnit(unit: Unit): Promise<Buffer> {
    const pack = this.#pack(unit.pack)
    pack.readers += 1
    try {
      const frame = await readFrame(await pack.object, unit)
      return decompressFrame(frame, unit.rawBytes, describeUnit(unit))
    } finally {
      pack.readers -= 1
      await this.#closeIdle()
    }
  }

  #pack(name: string): PackBeingRead {
    const known = this.#packs.get(name)
    if (known !== undefined) return touch(this.#packs, name, known)
    const pack = { object: openPack(this.#store, this.#names, name), readers: 0 }
    this.#packs.set(name, pack)
    pack.object.catch(() => this.#packs.delete(name))
    return pack
  }

  async #closeIdle(): Promise<void> {
    if (this.#packs.size <= OPEN_PACKS) return
    const idle = [...this.#packs].find(([, pack]) => pack.readers === 0)
    if (idle === undefined) return
    this.#packs.delete(idle[0])
    await (await idle[1].object)[Symbol.asyncDispose]()
  }
}

function touch<T>(map: Map<string, T>, key: string, value: T): T {
  map.delete(key)
  map.set(key, value)
  return value
}
