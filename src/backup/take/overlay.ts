/**
 * A file's extents when some stretches of it are new and the rest is as in the reference backup.
 * Pure.
 */
import type { Extent } from '../../repository/manifest-entry.ts'

/** A new stretch of the file. */
export interface Fresh {
  readonly fileOffset: number
  readonly extent: Extent
}

/** What a file is made of. */
export interface OverlayParts {
  readonly sizeBytes: number
  /** Sorted by offset, not overlapping, inside the size. */
  readonly fresh: readonly Fresh[]
  /** Extents of the reference's file; empty when there is none. */
  readonly reference: readonly Extent[]
  /** From here on nothing is taken from the reference; what is not fresh is zeros. */
  readonly referenceEnd: number
}

/** The extents from 0 to the size; neighbours that continue each other are joined. */
export function overlayExtents(parts: OverlayParts): Extent[] {
  const { sizeBytes, fresh } = parts
  const reference = new ExtentCursor(parts.reference)
  const extents: Extent[] = []
  let position = 0
  const fillTo = (end: number): void => {
    const kept = Math.min(end, parts.referenceEnd)
    if (position < kept) position += reference.copy(position, kept, extents)
    if (position < end)
      pushJoined(extents, { unit: undefined, unitOffset: 0, length: end - position })
    position = Math.max(position, end)
  }
  for (const { fileOffset, extent } of fresh) {
    fillTo(fileOffset)
    pushJoined(extents, extent)
    position = fileOffset + extent.length
  }
  fillTo(sizeBytes)
  return extents
}

/** Appends `extent`, lengthening the last one when it continues it. */
function pushJoined(extents: Extent[], extent: Extent): void {
  const last = extents.at(-1)
  const continues =
    last !== undefined &&
    last.unit === extent.unit &&
    (extent.unit === undefined || last.unitOffset + last.length === extent.unitOffset)
  if (continues) extents[extents.length - 1] = { ...last, length: last.length + extent.length }
  else if (extent.length > 0) extents.push(extent)
}

/** Walks forward through extents. */
class ExtentCursor {
  readonly #extents: readonly Extent[]
  #index = 0
  /** Position of the current extent in the file. */
  #start = 0

  constructor(extents: readonly Extent[]) {
    this.#extents = extents
  }

  /**
   * Appends the parts from `from` to `to`; returns how many bytes there were. `from` must not go
   * back.
   */
  copy(from: number, to: number, target: Extent[]): number {
    let position = from
    while (position < to) {
      const extent = this.#extents[this.#index]
      if (extent === undefined) break
      const end = this.#start + extent.length
      if (position < end) {
        const skip = position - this.#start
        const length = Math.min(to, end) - position
        const unitOffset = extent.unit === undefined ? 0 : extent.unitOffset + skip
        pushJoined(target, { unit: extent.unit, unitOffset, length })
        position += length
      }
      if (position >= end) {
        this.#start = end
        this.#index += 1
      }
    }
    return position - from
  }
}
