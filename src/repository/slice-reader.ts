/**
 * Reads stretches of one file of a backup, moving forward.
 */
import type { Extent, ManifestFile } from './manifest-entry.ts'
import type { PackReader } from './pack-reader.ts'

/**
 * A file's content by position. One call at a time, each beginning at or after the end of the one
 * before.
 */
export class SliceReader {
  readonly #extents: readonly Extent[]
  readonly #packs: PackReader
  #index = 0
  /** Position of the current extent in the file. */
  #start = 0

  constructor(file: ManifestFile, packs: PackReader) {
    this.#extents = file.extents
    this.#packs = packs
  }

  /**
   * `length` bytes from `position`, which must be inside the file. Read only: may be a view into a
   * buffer that others read.
   * @throws {BackstayError} REPOSITORY_DAMAGED
   */
  async read(position: number, length: number): Promise<Buffer> {
    const first = await this.#part(position, length)
    if (first.length === length) return first
    const parts = [first]
    for (let done = first.length; done < length;) {
      const part = await this.#part(position + done, length - done)
      parts.push(part)
      done += part.length
    }
    return Buffer.concat(parts)
  }

  /** As much of it as one extent holds. */
  #part(position: number, length: number): Promise<Buffer> {
    const extent = this.#extentAt(position)
    const skip = position - this.#start
    return this.#packs.extent({
      unit: extent.unit,
      unitOffset: extent.unit === undefined ? 0 : extent.unitOffset + skip,
      length: Math.min(extent.length - skip, length),
    })
  }

  #extentAt(position: number): Extent {
    for (;;) {
      const extent = this.#extents[this.#index]
      if (extent === undefined) throw new RangeError(`position ${position} is outside the file`)
      if (position < this.#start + extent.length) return extent
      this.#start += extent.length
      this.#index += 1
    }
  }
}
