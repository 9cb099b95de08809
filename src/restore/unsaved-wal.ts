/**
 * WAL that only the directory holds which a delta restore is about to overwrite: the last copy of
 * somebody's commits.
 */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '../host/file-error.ts'
import { parseSegmentName, segmentStart } from '../postgres/segment-name.ts'
import { findWalEnd } from '../postgres/wal-search.ts'
import { openIfRegular } from '../util/read-regular.ts'
import type { ContinuityMap } from '../wal/continuity.ts'

/** Names of the segments in `pg_wal` with WAL that the repository does not hold, sorted. */
export async function findUnsavedWal(
  directory: string,
  map: ContinuityMap,
): Promise<readonly string[]> {
  const folder = join(directory, 'pg_wal')
  const unsaved: string[] = []
  for (const name of (await namesIn(folder)).sort()) {
    if (await isUnsaved(folder, name, map)) unsaved.push(name)
  }
  return unsaved
}

async function isUnsaved(folder: string, name: string, map: ContinuityMap): Promise<boolean> {
  const { segmentBytes } = map
  const segment = parseSegmentName(name, segmentBytes)
  if (segment === undefined) return false
  const startLsn = segmentStart(segment, segmentBytes)
  const ranges = map.ranges.get(segment.timeline) ?? []
  const held = ranges.find((range) => range.startLsn <= startLsn && startLsn < range.endLsn)
  if (held !== undefined && held.endLsn >= startLsn + BigInt(segmentBytes)) return false
  // A recycled file has the name of a segment to come and the content of an old one: no valid WAL
  // for its place.
  const content = await readFileBytes(join(folder, name), segmentBytes)
  const { endLsn } = findWalEnd(content, { startLsn, segmentBytes })
  return endLsn > (held?.endLsn ?? startLsn)
}

/** Nothing of what is no file: PostgreSQL's user may have put a pipe there. */
async function readFileBytes(path: string, limitBytes: number): Promise<Buffer> {
  await using file = await openIfRegular(path)
  if (file === undefined) return Buffer.alloc(0)
  const buffer = Buffer.alloc(limitBytes)
  const { bytesRead } = await file.read(buffer, 0, limitBytes, 0)
  return buffer.subarray(0, bytesRead)
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}
