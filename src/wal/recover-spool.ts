/**
 * What a receiver finds in its spool when it starts, after a clean stop or after SIGKILL or a power
 * cut: which segments are whole, and where the last, unfinished one really ends.
 *
 * A named file proves that everything before it is durable (spool-writer.ts), so only the newest
 * file of a timeline is examined. Whole or not, it is copied into a fresh file that is synced
 * before it takes the name: pages whose sync failed earlier may read well from the cache and never
 * reach the disk, and after the copy they cannot. The same is done with any other file whose sync
 * fails here: a second sync of the same file would succeed and prove nothing. Nothing is
 * acknowledged before that, and nothing is cut off.
 */
import { open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { addBytes, type Lsn } from '../postgres/lsn.ts'
import { formatSegmentName, type Segment, segmentStart } from '../postgres/segment-name.ts'
import { syncDirectory } from '../util/sync-directory.ts'
import { spoolError } from './spool-error.ts'
import type { SpoolPlace } from './spool-file.ts'
import { parseSpoolFileName, spoolFileName, TEMPORARY_PREFIX } from './spool-names.ts'
import type { FinishedSegment } from './spool-writer.ts'
import { beginsInsideRecord, findWalEnd, type WalEnd } from './wal-end.ts'
import type { WalPosition } from './wal-position.ts'
import { openRegular, readRegular } from '../util/read-regular.ts'

/** Most bytes copied at a time. */
const COPY_BYTES = 4 * 1024 * 1024

/** The unfinished segment at the end of a timeline in the spool. */
export interface SpoolTail extends WalEnd {
  readonly segment: Segment
  readonly path: string
}

/** What the spool holds. */
export interface SpoolContent {
  /** Whole segments, ascending by timeline and position. */
  readonly finished: readonly FinishedSegment[]
  /** At most one for each timeline, ascending. */
  readonly tails: readonly SpoolTail[]
}

/**
 * How to get a whole segment from the repository: 24 hex digits in, undefined when it is not there.
 */
export type SegmentSource = (segmentName: string) => Promise<Uint8Array | undefined>

/**
 * Lists the spool and finds where its tails end; changes nothing. An absent folder is empty. A tail
 * that holds position `known` is taken to end there and not examined.
 */
export async function inspectSpool(
  place: SpoolPlace,
  getSegment: SegmentSource,
  known?: WalPosition,
): Promise<SpoolContent> {
  const segments = await listSpool(place)
  const finished: FinishedSegment[] = []
  const tails: SpoolTail[] = []
  for (const [index, segment] of segments.entries()) {
    const path = join(place.directory, spoolFileName(segment, place.segmentBytes))
    if (segments[index + 1]?.timeline === segment.timeline) {
      finished.push({ segment, path })
      continue
    }
    const end = isIn(place, segment, known)
      ? { endLsn: known.lsn, lastRecordLsn: undefined }
      : await examine(place, segment, getSegment)
    if (end === undefined) continue
    const isWhole =
      end.endLsn >= addBytes(segmentStart(segment, place.segmentBytes), place.segmentBytes)
    if (isWhole) finished.push({ segment, path })
    else tails.push({ ...end, segment, path })
  }
  return { finished, tails }
}

/**
 * Makes the spool fit for a writer again: removes temporary files, makes everything else durable.
 * Only for the holder of the receiver's lock.
 * @throws {BackstayError} DISK_SPACE, STORE: nothing is lost then, and it can be called again.
 */
export async function recoverSpool(
  place: SpoolPlace,
  getSegment: SegmentSource,
): Promise<SpoolContent> {
  try {
    await removeTemporaries(place.directory)
    const content = await inspectSpool(place, getSegment)
    for (const newest of newestFiles(content)) await rewrite(place, newest)
    for (const finished of content.finished) await makeDurable(place, finished)
    if (content.finished.length > 0) await syncDirectory(place.directory)
    return content
  } catch (error) {
    throw spoolError(`recover the spool "${place.directory}"`, error)
  }
}

function isIn(
  place: SpoolPlace,
  segment: Segment,
  position: WalPosition | undefined,
): position is WalPosition {
  if (position?.timeline !== segment.timeline) return false
  const startLsn = segmentStart(segment, place.segmentBytes)
  return startLsn < position.lsn && position.lsn <= addBytes(startLsn, place.segmentBytes)
}

/**
 * The segments that have a file in the spool, by timeline and position; an absent folder has none.
 */
export async function listSpool(place: SpoolPlace): Promise<Segment[]> {
  return (await readNames(place.directory))
    .map((name) => parseSpoolFileName(name, place.segmentBytes))
    .filter((segment) => segment !== undefined)
    .sort((a, b) => a.timeline - b.timeline || Number(a.number - b.number))
}

async function readNames(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** Undefined when the file is gone: it was whole, and has been handed over meanwhile. */
async function examine(
  place: SpoolPlace,
  segment: Segment,
  getSegment: SegmentSource,
): Promise<WalEnd | undefined> {
  const { segmentBytes } = place
  const content = await readSpooled(place, segment)
  if (content === undefined) return undefined
  const alone = findWalEnd({ segment, segmentBytes, content, before: undefined })
  const isProved = alone.lastRecordLsn !== undefined && !beginsInsideRecord(content)
  if (isProved || segment.number === 0n) return alone
  const previous = { ...segment, number: segment.number - 1n }
  const before =
    (await readSpooled(place, previous)) ??
    (await getSegment(formatSegmentName(previous, segmentBytes)))
  return before === undefined ? alone : findWalEnd({ segment, segmentBytes, content, before })
}

async function readSpooled(place: SpoolPlace, segment: Segment): Promise<Buffer | undefined> {
  try {
    return await readRegular(
      join(place.directory, spoolFileName(segment, place.segmentBytes)),
      place.segmentBytes,
    )
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function removeTemporaries(directory: string): Promise<void> {
  const names = await readNames(directory)
  const temporary = names.filter((name) => name.startsWith(TEMPORARY_PREFIX))
  for (const name of temporary) await rm(join(directory, name), { force: true })
}

/** Of each timeline the file that no later one vouches for. */
function newestFiles({ finished, tails }: SpoolContent): readonly FinishedSegment[] {
  const newest = new Map<number, FinishedSegment>()
  for (const file of [...finished, ...tails]) newest.set(file.segment.timeline, file)
  return [...newest.values()]
}

/**
 * A synced copy, filled with zeros to the segment's size, takes the file's place. Nothing when it
 * was handed over meanwhile.
 */
async function rewrite(place: SpoolPlace, { segment, path }: FinishedSegment): Promise<void> {
  const { directory, segmentBytes } = place
  const temporary = join(directory, `${TEMPORARY_PREFIX}${spoolFileName(segment, segmentBytes)}`)
  try {
    await copyPadded(path, temporary, segmentBytes)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  await rename(temporary, path)
  await syncDirectory(directory)
}

async function copyPadded(from: string, to: string, totalBytes: number): Promise<void> {
  await using source = await openRegular(from)
  await using target = await open(to, 'w', 0o600)
  const buffer = Buffer.alloc(Math.min(COPY_BYTES, totalBytes))
  for (let at = 0; at < totalBytes; at += buffer.length) {
    const { bytesRead } = await source.read(buffer, 0, buffer.length, at)
    buffer.fill(0, bytesRead)
    await target.write(buffer, 0, buffer.length, at)
  }
  await target.sync()
}

async function makeDurable(place: SpoolPlace, finished: FinishedSegment): Promise<void> {
  try {
    await using file = await open(finished.path, 'r+')
    await file.datasync()
  } catch (error) {
    // Handed over meanwhile.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    await rewrite(place, finished)
  }
}

/** The position after the last byte of each timeline in the spool. */
export function spoolEnds(content: SpoolContent, segmentBytes: number): ReadonlyMap<number, Lsn> {
  const ends = new Map<number, Lsn>()
  for (const { segment } of content.finished) {
    ends.set(segment.timeline, addBytes(segmentStart(segment, segmentBytes), segmentBytes))
  }
  for (const tail of content.tails) ends.set(tail.segment.timeline, tail.endLsn)
  return ends
}
