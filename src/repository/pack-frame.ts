/**
 * One unit's compressed frame in a pack, for whoever keeps packs open.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import type { ObjectReader, Store } from '../store/store.ts'
import type { ClusterNames } from './format.ts'
import type { Unit } from './manifest-entry.ts'

/** Opens a pack. @throws {BackstayError} REPOSITORY_DAMAGED when it is missing. */
export async function openPack(
  store: Store,
  names: ClusterNames,
  name: string,
): Promise<ObjectReader> {
  const pack = await store.open(names.pack(name))
  if (pack !== undefined) return pack
  throw new BackstayError('REPOSITORY_DAMAGED', `Cannot read pack "${name}": it is missing`)
}

/**
 * Reads the frame of `unit` into a buffer of the caller's.
 * @throws {BackstayError} REPOSITORY_DAMAGED when the pack is too short.
 */
export async function readFrame(pack: ObjectReader, unit: Unit): Promise<Buffer> {
  if (unit.offset + unit.storedBytes > pack.sizeBytes) {
    throw new BackstayError(
      'REPOSITORY_DAMAGED',
      `Cannot read ${describeUnit(unit)}: the pack ends at byte ${pack.sizeBytes}`,
    )
  }
  const frame = Buffer.allocUnsafe(unit.storedBytes)
  await pack.read(unit.offset, frame)
  return frame
}

/** Tells a unit from all others of its cluster. */
export function unitKey(unit: Unit): string {
  return `${unit.pack}@${unit.offset}`
}

/** What messages call it. */
export function describeUnit(unit: Unit): string {
  return `the unit at byte ${unit.offset} of pack "${unit.pack}"`
}
