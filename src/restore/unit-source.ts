/**
 * Decompressed units for a restore worker: a few are kept, because a file's extents come back to
 * the same unit, and one that goes gives its memory back at once. Left to garbage collection, units
 * of half a megabyte would pile up to a hundred.
 */
import type { ClusterNames } from '../repository/format.ts'
import type { Unit } from '../repository/manifest-entry.ts'
import { describeUnit, openPack, readFrame, unitKey } from '../repository/pack-frame.ts'
import { decompressFrame } from '../repository/codec.ts'
import type { ObjectReader, Store } from '../store/store.ts'

/**
 * Units kept, 512 KiB each: those a stretch of a file with many small changes goes to and fro
 * between.
 */
const KEPT_UNITS = 16

/** Packs kept open. */
const OPEN_PACKS = 32

/** Reads units one after the other; calls must not overlap. */
export class UnitSource implements AsyncDisposable {
  readonly #store: Store
  readonly #names: ClusterNames
  readonly #units = new Map<string, Buffer>()
  readonly #packs = new Map<string, ObjectReader>()
  #ahead: { readonly key: string; readonly frame: Promise<Buffer> } | undefined

  constructor(store: Store, names: ClusterNames) {
    this.#store = store
    this.#names = names
  }

  /**
   * The decompressed content of `unit`, valid until `beforeRelease` is called for a later one:
   * whoever still needs bytes of earlier units must be done with them when it returns.
   * @throws {BackstayError} REPOSITORY_DAMAGED
   */
  async unit(unit: Unit, beforeRelease: () => void): Promise<Buffer> {
    const key = unitKey(unit)
    const kept = this.#units.get(key)
    if (kept !== undefined) {
      this.#units.delete(key)
      this.#units.set(key, kept)
      return kept
    }
    const frame = await this.#frame(unit)
    const [oldest] = this.#units
    if (oldest !== undefined && this.#units.size >= KEPT_UNITS) {
      beforeRelease()
      this.#units.delete(oldest[0])
      release(oldest[1])
    }
    const content = decompressFrame(frame, unit.rawBytes, describeUnit(unit))
    release(frame)
    this.#units.set(key, content)
    return content
  }

  /**
   * Begins to read the frame of the unit that will be asked for next. A failure is met when it is.
   */
  readAhead(unit: Unit): void {
    const key = unitKey(unit)
    if (this.#units.has(key) || this.#ahead !== undefined) return
    const frame = this.#readFrame(unit)
    frame.catch(() => {})
    this.#ahead = { key, frame }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ahead?.frame.catch(() => undefined)
    for (const pack of this.#packs.values()) await pack[Symbol.asyncDispose]()
    this.#packs.clear()
    this.#units.clear()
  }

  async #frame(unit: Unit): Promise<Buffer> {
    const ahead = this.#ahead
    this.#ahead = undefined
    if (ahead?.key === unitKey(unit)) return await ahead.frame
    await ahead?.frame.catch(() => undefined)
    return await this.#readFrame(unit)
  }

  async #readFrame(unit: Unit): Promise<Buffer> {
    return await readFrame(await this.#pack(unit.pack), unit)
  }

  async #pack(name: string): Promise<ObjectReader> {
    const known = this.#packs.get(name)
    if (known !== undefined) return known
    const [oldest] = this.#packs
    if (oldest !== undefined && this.#packs.size >= OPEN_PACKS) {
      this.#packs.delete(oldest[0])
      await oldest[1][Symbol.asyncDispose]()
    }
    const pack = await openPack(this.#store, this.#names, name)
    this.#packs.set(name, pack)
    return pack
  }
}

/**
 * Gives the memory of a buffer back at once. Small ones share a pool of Node's, which must stay.
 */
function release(buffer: Buffer): void {
  const { buffer: memory } = buffer
  if (memory instanceof ArrayBuffer && memory.byteLength > Buffer.poolSize) memory.transfer(0)
}
