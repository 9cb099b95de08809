/**
 * What `wal get` does for a recovery whose repository is on another machine: asks the gate for the
 * file, and has what follows fetched ahead.
 */
import { spawn } from 'node:child_process'
import { WAY_HOST } from '../cluster/machine/way-files.ts'
import { BackstayError } from '../errors/backstay-error.ts'
import {
  isSegmentBytes,
  MOST_SEGMENT_BYTES,
  parseSegmentName,
  parseWalFileName,
  type Segment,
} from '../postgres/segment-name.ts'
import { walBytesMax } from '../repository/wal-objects.ts'
import type { Clock } from '../util/clock.ts'
import { gatherComplaint, gatherOutput } from '../util/gather-output.ts'
import { printable } from '../errors/printable.ts'
import {
  beginPrefetch,
  isCovered,
  isFollowed,
  prefetchDirectoryFor,
} from '../wal/prefetch-folder.ts'
import { placeWalFile } from '../wal/write-whole.ts'
import { ownWayConfig } from './own-way.ts'

/** Nothing came for this long: the other side is gone, or makes recovery wait. */
const SILENCE_MS = 60_000
const MESSAGE_CHARACTERS = 2000

/** How the gate ends for a file that is not held (cli/recovery-exit-code.ts). */
const NOT_HELD = 1

/** A file that recovery wants. */
export interface WayWish {
  /** Directory of the way. */
  readonly way: string
  /** `%f`. */
  readonly name: string
  /** `%p`, absolute. */
  readonly target: string
  readonly clock: Clock
  /** Starts a prefetch that outlives this process; returns its pid. */
  readonly startPrefetch: (
    directory: string,
    firstSegment: Segment,
    segmentBytes: number,
  ) => number | undefined
}

/**
 * Puts the file at its target.
 * @throws {BackstayError} WAL_MISSING when it is not held; HOST_UNREACHABLE, FAILED
 */
export async function fetchOverWay(wish: WayWish): Promise<void> {
  const { name, target } = wish
  const content = await getOverWay(wish.way, name)
  await placeWalFile(content, target)
  if (isFollowed(target)) await prefetch(wish, content.length)
}

/** The content of a WAL file. @throws {BackstayError} WAL_MISSING, WAL_INVALID, HOST_UNREACHABLE */
async function getOverWay(way: string, name: string): Promise<Buffer> {
  if (parseWalFileName(name) === undefined) {
    throw new BackstayError('WAL_INVALID', `Cannot get "${name}": that names no WAL file`)
  }
  const words = ['-F', ownWayConfig(way), WAY_HOST, `wal get ${name}`]
  const child = spawn('ssh', words, { stdio: ['ignore', 'pipe', 'pipe'] })
  const { promise: ended, resolve, reject } = Promise.withResolvers<number>()
  const mostBytes = walBytesMax(name, MOST_SEGMENT_BYTES)
  const content = gatherOutput(child, mostBytes, () =>
    reject(invalid(name, 'more came than it can have')),
  )
  const said = gatherComplaint(child.stderr, MESSAGE_CHARACTERS)
  const silence = setTimeout(() => child.kill('SIGKILL'), SILENCE_MS)
  child.stdout.on('data', () => silence.refresh())
  child.once('error', reject).once('close', (code) => resolve(code ?? NOT_HELD + 127))
  const exitCode = await ended.finally(() => clearTimeout(silence))
  if (exitCode === 0) return checkLength(name, content())
  const message = printable(said().trim().split('\n')[0] ?? '')
  if (exitCode === NOT_HELD) {
    throw new BackstayError('WAL_MISSING', `Cannot get WAL file "${name}": it is not held`)
  }
  throw new BackstayError('HOST_UNREACHABLE', `Cannot get WAL file "${name}": ${message}`)
}

function invalid(name: string, why: string): BackstayError {
  return new BackstayError('WAL_INVALID', `Cannot get WAL file "${name}": ${why}`)
}

/** An answer that broke off ends with 0, too, where the other side is not to be trusted. */
function checkLength(name: string, content: Buffer): Buffer {
  const { length } = content
  if (parseWalFileName(name)?.kind !== 'segment' || isSegmentBytes(length)) return content
  throw invalid(name, `${length} bytes came, and no segment is that long`)
}

/** A segment is as long as every other one. */
async function prefetch(wish: WayWish, segmentBytes: number): Promise<void> {
  const segment = parseSegmentName(wish.name, segmentBytes)
  if (segment === undefined) return
  const directory = await prefetchDirectoryFor(wish.target)
  const place = { directory, segmentBytes, clock: wish.clock }
  const next = { ...segment, number: segment.number + 1n }
  if (await isCovered(place, next)) return
  await beginPrefetch(place, next, () => wish.startPrefetch(directory, next, segmentBytes))
}
