/**
 * Reads stretches of one file of a backup, moving forward.
 */
import type { Extent, ManifestFile } from './manifest-entry.ts'
import type { PackReader } from './pack-reader.ts'

/** A file's content by position. One call at a time; positions must not go back. */
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
   * `length` bytes from `position`, which must be inside the file.
   * @throws {BackstayError} REPOSITORY_DAMAGED
   */
  async read(position: number, length: number): Promise<Buffer> {
    const content = Buffer.allocUnsafe(length)
    let done = 0
    while (done < length) {
      const extent = this.#extentAt(position + done)
      const skip = position + done - this.#start
      const part = Math.min(extent.length - skip, length - done)
      const bytes = await this.#packs.extent({
        unit: extent.unit,
        unitOffset: extent.unitOffset + (extent.unit === undefined ? 0 : skip),
        length: part,
      })
      bytes.copy(content, done)
      done += part
    }
    return content
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
