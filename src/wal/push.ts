/**
 * Takes WAL files that PostgreSQL archives: each is proved to be what its name says before it is
 * stored. The same content twice is fine; other content is an error and changes nothing.
 */
import { basename } from 'node:path'
import { BackstayError } from '../errors/backstay-error.ts'
import {
  formatSegmentName,
  parseSegmentName,
  parseWalFileName,
  segmentStart,
} from '../postgres/segment-name.ts'
import { parseTimelineHistory } from '../postgres/timeline.ts'
import { inspectSegment } from '../postgres/wal-page.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { type WalPutOutcome, walBytesMax } from '../repository/wal-objects.ts'
import { segmentSource } from './held-wal.ts'
import { invalidSegment, type StoreOutcome } from './judged-segment.ts'
import { storeProved } from './store-proved.ts'
import { readRegular } from '../util/read-regular.ts'

/** First words of a backup-history file. */
const BACKUP_HISTORY_HEAD = 'START WAL LOCATION: '

/**
 * Stores the WAL file at `path`; durable when it resolves. `name` is `%f`, when the file has
 * another name on disk.
 * @throws {BackstayError} WAL_MISSING when there is no file; what `pushWalContent` throws.
 */
export async function pushWalFile(
  repository: ClusterRepository,
  path: string,
  name: string = basename(path),
): Promise<StoreOutcome> {
  return await pushWalContent(repository, name, await readWhole(repository, name, path))
}

/**
 * Stores a WAL file's content, which is changed when it is a partial segment; durable when it
 * resolves.
 * @throws {BackstayError} WAL_INVALID when the content is not what the name says, WAL_CONFLICT when
 * it is there with other
 *   content, STORE.
 */
export async function pushWalContent(
  repository: ClusterRepository,
  name: string,
  content: Buffer,
): Promise<StoreOutcome> {
  const file = parseWalFileName(name)
  if (file === undefined) throw invalidSegment(name, 'its name is none of a WAL file')
  if (file.kind === 'history') {
    checkHistory(name, file.timeline, content)
    return await repository.wal.putHistory(file.timeline, content)
  }
  if (file.kind === 'backup') {
    checkBackupHistory(name, content)
    return await repository.wal.putBackupHistory(name, content)
  }
  if (file.kind === 'segment') return await storeProved(repository, { name, content })
  checkPartial(repository, name, content)
  return await pushPartial(repository, name.slice(0, -'.partial'.length), content)
}

/**
 * The rest of a promoted server's last segment. What follows its last record is cut: PostgreSQL
 * recycles files, so old WAL stands there, and of several partials the longest is taken for the
 * fullest.
 */
async function pushPartial(
  repository: ClusterRepository,
  name: string,
  content: Buffer,
): Promise<WalPutOutcome> {
  const { segmentBytes } = repository.identity
  const segment = parseSegmentName(name, segmentBytes)
  if (segment === undefined)
    throw invalidSegment(name, 'its name is impossible for the segment size')
  const previous = formatSegmentName({ ...segment, number: segment.number - 1n }, segmentBytes)
  const before = segment.number === 0n ? undefined : await segmentSource(repository)(previous)
  // Loaded when it is needed: an archive_command starts for every segment.
  const { findWalEnd } = await import('./wal-end.ts')
  const end = findWalEnd({ segment, segmentBytes, content, before })
  if (end.lastRecordLsn !== undefined) {
    content.fill(0, Number(end.endLsn - segmentStart(segment, segmentBytes)))
  }
  return await repository.wal.putPartial(name, content)
}

function checkPartial(repository: ClusterRepository, name: string, content: Buffer): void {
  const { identity } = repository
  const { problem } = inspectSegment(content, { ...identity, name, fileBytes: content.length })
  if (problem !== undefined) throw invalidSegment(name, problem)
}

function checkHistory(name: string, timeline: number, content: Buffer): void {
  const history = parseTimelineHistory(timeline, content.toString())
  if (history === undefined || history.switches.length === 0) {
    throw invalidSegment(name, 'it is no timeline history')
  }
}

function checkBackupHistory(name: string, content: Buffer): void {
  if (content.toString('latin1').startsWith(BACKUP_HISTORY_HEAD)) return
  throw invalidSegment(name, 'it does not begin as a backup-history file does')
}

async function readWhole(
  { identity }: ClusterRepository,
  name: string,
  path: string,
): Promise<Buffer> {
  try {
    return await readRegular(path, walBytesMax(name, identity.segmentBytes))
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'EINVAL' || code === 'EFBIG') throw invalidSegment(name, message)
    throw new BackstayError('WAL_MISSING', `Cannot read WAL file "${path}": ${message}`, {
      hint: 'The path is relative to the data directory: PostgreSQL runs archive_command there.',
      cause: error,
    })
  }
}
