/**
 * Copies objects from one store to another, as they are. Nothing is replaced: what is held stays,
 * and an object that is named by its content is the same on both sides.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { parseWalFileName } from '../postgres/segment-name.ts'
import { inspectSegment } from '../postgres/wal-page.ts'
import type { ObjectReader, Store } from '../store/store.ts'
import type { ClusterRepository } from './cluster-repository.ts'
import { decompressUnknownAsync, frameBound } from './codec.ts'
import { type ClusterNames, parsePartialName } from './format.ts'
import { walBytesMax } from './wal-objects.ts'

/** Of the object that is read while the piece before it is written. */
const PIECE_BYTES = 4 * 1024 * 1024

/** An object of WAL, and the name PostgreSQL knows its file by. */
export interface WalObject {
  readonly object: string
  /** Of a partial: its segment's and `.partial`. */
  readonly file: string
}

/**
 * Copies an object of any size; durable when it resolves. False when `from` does not hold it.
 * @throws {BackstayError} what reading and writing throw; nothing half is left then
 */
export async function copyObject(from: Store, to: Store, name: string): Promise<boolean> {
  await using reader = await from.open(name)
  if (reader === undefined) return false
  await using writer = await to.create(name)
  let next = readPiece(reader, 0)
  for (let at = 0; at < reader.sizeBytes; at += PIECE_BYTES) {
    const piece = await next
    next = readPiece(reader, at + PIECE_BYTES)
    // Whoever writes may fail first.
    next.catch(() => undefined)
    await writer.write([piece])
  }
  await writer.commit()
  return true
}

async function readPiece(reader: ObjectReader, at: number): Promise<Buffer> {
  const piece = Buffer.allocUnsafe(Math.min(PIECE_BYTES, Math.max(0, reader.sizeBytes - at)))
  await reader.read(at, piece)
  return piece
}

/**
 * Objects of WAL that `from` holds: segments, partials, histories of timelines and of backups. What
 * was set aside, and marks, are that repository's own.
 */
export async function listWalObjects({ store, names }: ClusterRepository): Promise<WalObject[]> {
  const found: WalObject[] = []
  for (const name of await store.listObjects(names.wal)) {
    found.push(...walObjectOf(names, `${names.wal}/${name}`))
  }
  for (const timeline of await store.listFolders(names.wal)) {
    for await (const object of store.list(`${names.wal}/${timeline}`)) {
      found.push(...walObjectOf(names, object))
    }
  }
  return found
}

/** None for what we would call otherwise, whoever named it. */
function walObjectOf(names: ClusterNames, object: string): readonly WalObject[] {
  const partial = parsePartialName(object)
  if (partial !== undefined) {
    const file = `${partial.segment}.partial`
    return names.walPartial(partial) === object ? [{ object, file }] : []
  }
  const file = object.slice(object.lastIndexOf('/') + 1).replace(/\.zst$/, '')
  const parsed = parseWalFileName(file)
  if (parsed === undefined || parsed.kind === 'partial') return []
  const expected = {
    segment: () => names.walSegment(file),
    history: () => names.walHistory(parsed.timeline),
    backup: () => names.walBackupHistory(file),
  }[parsed.kind]()
  return expected === object ? [{ object, file }] : []
}

/**
 * Copies one object of WAL once it is proved whole and of this cluster. False when `from` does not
 * hold it.
 * @throws {BackstayError} WAL_INVALID, REPOSITORY_DAMAGED
 */
export async function copyWalObject(
  from: Store,
  to: ClusterRepository,
  { object, file }: WalObject,
): Promise<boolean> {
  const { identity } = to
  const limitBytes = walBytesMax(file, identity.segmentBytes)
  const frame = await from.get(object, frameBound(limitBytes))
  if (frame === undefined) return false
  const content = await decompressUnknownAsync(frame, `"${object}"`, limitBytes)
  if (parseWalFileName(file)?.kind === 'segment') {
    const about = { ...identity, name: file, fileBytes: content.length }
    const { problem } = inspectSegment(content, about)
    if (problem !== undefined) {
      throw new BackstayError('WAL_INVALID', `Cannot store WAL file "${file}": ${problem}`)
    }
  }
  await to.store.put(object, frame)
  return true
}
