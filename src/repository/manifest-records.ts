/**
 * The manifest's records as bytes (docs/repository-format.md §6): encoding and decoding, no input
 * or output.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import type {
  Extent,
  ManifestDirectory,
  ManifestEntry,
  ManifestFile,
  ManifestLink,
  ManifestTotals,
  Unit,
} from './manifest-entry.ts'
import { UNIT_BYTES } from './format.ts'
import type { ByteReader, ByteWriter } from './record-bytes.ts'
import { frameBound } from './codec.ts'

/** First bytes of the record stream. */
export const MANIFEST_MAGIC = Buffer.from('BSMF0001')

/** What the record's first byte says. */
export const RECORD = { end: 0, pack: 1, directory: 2, file: 3, link: 4 } as const

const HAS_CRC = 1

/**
 * Bits of a mode that are taken from a manifest: nothing in a data directory runs as another user.
 */
const PERMISSIONS = 0o777

/**
 * Units and extents of one file, at most (docs/repository-format.md §6): of 32 GiB of which no two
 * pages lie beside each other. All of a file are in memory at once.
 */
export const PIECES_MAX = 2 ** 22

/** Packs of one manifest, at most: of 1 GiB each. */
const PACKS_MAX = 2 ** 20

/** `<backup id>-<nnnnnn>`: a name from a manifest becomes a path. */
const PACK_NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/

/**
 * Numbers packs in the order of their first use; a pack's record is written before the record that
 * uses it.
 */
export class PackTable {
  readonly #numbers = new Map<string, number>()
  readonly #names: string[] = []

  get names(): readonly string[] {
    return this.#names
  }

  /** Adds a pack that was read from a record. */
  add(name: string): void {
    if (!PACK_NAME.test(name)) {
      throw new BackstayError(
        'REPOSITORY_DAMAGED',
        `Cannot read the manifest: ${JSON.stringify(name.slice(0, 80))} is no name of a pack`,
      )
    }
    if (this.#names.length >= PACKS_MAX) throw tooMany('packs', PACKS_MAX)
    this.#numbers.set(name, this.#names.length)
    this.#names.push(name)
  }

  name(number: number): string {
    const name = this.#names[number]
    if (name !== undefined) return name
    throw new BackstayError('REPOSITORY_DAMAGED', `Cannot read the manifest: no pack ${number}`)
  }

  /** The pack's number; writes its record first when it is new. */
  number(name: string, bytes: ByteWriter): number {
    const known = this.#numbers.get(name)
    if (known !== undefined) return known
    bytes.byte(RECORD.pack)
    bytes.string(name)
    this.add(name)
    return this.#names.length - 1
  }
}

/** Appends the record of one path, and of packs it is the first to use. */
export function encodeEntry(entry: ManifestEntry, packs: PackTable, bytes: ByteWriter): void {
  if (entry.kind === 'file') encodeFile(entry, packs, bytes)
  else if (entry.kind === 'directory') encodeDirectory(entry, bytes)
  else encodeLink(entry, bytes)
}

/** Appends the last record. */
export function encodeEnd(totals: ManifestTotals, sha256: Uint8Array, bytes: ByteWriter): void {
  bytes.byte(RECORD.end)
  bytes.varint(totals.files)
  bytes.varint(totals.directories)
  bytes.varint(totals.links)
  bytes.varint(totals.bytes)
  bytes.bytes(sha256)
}

function encodeDirectory(entry: ManifestDirectory, bytes: ByteWriter): void {
  bytes.byte(RECORD.directory)
  bytes.string(entry.path)
  bytes.varint(entry.mode)
}

function encodeLink(entry: ManifestLink, bytes: ByteWriter): void {
  bytes.byte(RECORD.link)
  bytes.string(entry.path)
  bytes.varint(entry.mode)
  bytes.string(entry.target)
}

function encodeFile(entry: ManifestFile, packs: PackTable, bytes: ByteWriter): void {
  const units = [...new Set(entry.extents.map((extent) => extent.unit))].filter(
    (unit) => unit !== undefined,
  )
  const numbers = units.map((unit) => packs.number(unit.pack, bytes))
  bytes.byte(RECORD.file)
  bytes.string(entry.path)
  bytes.varint(entry.mode)
  bytes.varint(Math.max(0, Math.floor(entry.modifiedAtMs / 1000)))
  bytes.varint(entry.sizeBytes)
  bytes.byte(entry.crc32c === undefined ? 0 : HAS_CRC)
  if (entry.crc32c !== undefined) bytes.u32(entry.crc32c)
  bytes.varint(units.length)
  units.forEach((unit, index) => {
    bytes.varint(numbers[index] ?? 0)
    bytes.varint(unit.offset)
    bytes.varint(unit.storedBytes)
    bytes.varint(unit.rawBytes)
  })
  encodeExtents(entry.extents, new Map(units.map((unit, index) => [unit, index + 1])), bytes)
}

function encodeExtents(
  extents: readonly Extent[],
  numbers: ReadonlyMap<Unit, number>,
  bytes: ByteWriter,
): void {
  bytes.varint(extents.length)
  for (const extent of extents) {
    const number = extent.unit === undefined ? 0 : (numbers.get(extent.unit) ?? 0)
    bytes.varint(number)
    if (number > 0) bytes.varint(extent.unitOffset)
    bytes.varint(extent.length)
  }
}

/**
 * Reads the record that follows its first byte `kind`. Checks that extents lie in their units and
 * fill the file.
 */
export function decodeEntry(kind: number, bytes: ByteReader, packs: PackTable): ManifestEntry {
  if (kind === RECORD.file) return decodeFile(bytes, packs)
  const path = safePath(bytes.string())
  const mode = bytes.varint() & PERMISSIONS
  if (kind === RECORD.directory) return { kind: 'directory', path, mode }
  if (kind === RECORD.link) {
    return { kind: 'link', path: linkPath(path), mode, target: bytes.string() }
  }
  throw new BackstayError('REPOSITORY_DAMAGED', `Cannot read the manifest: record of kind ${kind}`)
}

/** Reads the fields of the last record. */
export function decodeEnd(bytes: ByteReader): { totals: ManifestTotals; sha256: Buffer } {
  const totals = {
    files: bytes.varint(),
    directories: bytes.varint(),
    links: bytes.varint(),
    bytes: bytes.varint(),
  }
  return { totals, sha256: bytes.bytes(32) }
}

function decodeFile(bytes: ByteReader, packs: PackTable): ManifestFile {
  const path = safePath(bytes.string())
  const mode = bytes.varint() & PERMISSIONS
  const modifiedAtMs = bytes.varint() * 1000
  const sizeBytes = bytes.varint()
  const crc32c = (bytes.byte() & HAS_CRC) === 0 ? undefined : bytes.u32()
  const units: Unit[] = []
  for (let left = pieceCount(bytes, `units of "${path}"`); left > 0; left -= 1) {
    const pack = packs.name(bytes.varint())
    const offset = bytes.varint()
    const storedBytes = bytes.varint()
    const rawBytes = bytes.varint()
    if (rawBytes > UNIT_BYTES || storedBytes > frameBound(rawBytes)) throw wrongUnit(path)
    units.push({ pack, offset, storedBytes, rawBytes })
  }
  const extents = decodeExtents(bytes, path, units)
  const covered = extents.reduce((sum, extent) => sum + extent.length, 0)
  if (covered !== sizeBytes) throw wrongExtents(path)
  return { kind: 'file', path, mode, modifiedAtMs, sizeBytes, crc32c, extents }
}

/** A frame that claims to hold more than a unit may would only fill the memory. */
function wrongUnit(path: string): BackstayError {
  return new BackstayError(
    'REPOSITORY_DAMAGED',
    `Cannot read the manifest: a unit of "${path}" is longer than units are`,
  )
}

function decodeExtents(bytes: ByteReader, path: string, units: readonly Unit[]): Extent[] {
  const extents: Extent[] = []
  for (let left = pieceCount(bytes, `extents of "${path}"`); left > 0; left -= 1) {
    const number = bytes.varint()
    const unit = number === 0 ? undefined : units[number - 1]
    if (number > 0 && unit === undefined) throw wrongExtents(`unit ${number}`)
    const unitOffset = number === 0 ? 0 : bytes.varint()
    const length = bytes.varint()
    if (unit !== undefined && unitOffset + length > unit.rawBytes) {
      throw wrongExtents(`unit ${number}`)
    }
    extents.push({ unit, unitOffset, length })
  }
  return extents
}

/** A few bytes each, they would fill the memory with what they unfold to. */
function pieceCount(bytes: ByteReader, what: string): number {
  const count = bytes.varint()
  if (count <= PIECES_MAX) return count
  throw tooMany(what, PIECES_MAX)
}

function tooMany(what: string, most: number): BackstayError {
  return new BackstayError(
    'REPOSITORY_DAMAGED',
    `Cannot read the manifest: there are more ${what} than the ${most} that may be`,
  )
}

/**
 * Whoever reads a manifest may write where it says: it must say places inside the data directory
 * only.
 */
function safePath(path: string): string {
  const isSafe = path.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
  if (isSafe && !path.includes('\0')) return path
  throw wrongPath(path)
}

function linkPath(path: string): string {
  if (/^pg_tblspc\/\d+$/.test(path)) return path
  throw wrongPath(path)
}

function wrongPath(path: string): BackstayError {
  return new BackstayError(
    'REPOSITORY_DAMAGED',
    `Cannot read the manifest: "${path}" does not belong into a data directory`,
  )
}

function wrongExtents(what: string): BackstayError {
  return new BackstayError(
    'REPOSITORY_DAMAGED',
    `Cannot read the manifest: the extents of "${what}" do not fit`,
  )
}
