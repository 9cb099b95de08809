/**
 * What `wal get` does for a recovery whose repository is on another machine: asks the gate for the file, and has what follows
 * fetched ahead.
 */
import { spawn } from 'node:child_process'
import { buffer, text } from 'node:stream/consumers'
import { WAY_HOST, wayPaths } from '../cluster/way/way-files.ts'
import { BackstayError } from '../errors/backstay-error.ts'
import { parseSegmentName, parseWalFileName, type Segment } from '../postgres/segment-name.ts'
import type { Clock } from '../util/clock.ts'
import {
  beginPrefetch,
  isCovered,
  isFollowed,
  prefetchDirectoryFor,
} from '../wal/prefetch-folder.ts'
import { placeWalFile } from '../wal/write-whole.ts'

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

/** Puts the file at its target. @throws {BackstayError} WAL_MISSING when it is not held; HOST_UNREACHABLE, FAILED */
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
  const words = ['-F', wayPaths(way).config, WAY_HOST, `wal get ${name}`]
  const child = spawn('ssh', words, { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject).once('close', (code) => resolve(code ?? NOT_HELD + 127))
  })
  const [exitCode, content, said] = await Promise.all([
    ended,
    buffer(child.stdout),
    text(child.stderr),
  ])
  if (exitCode === 0) return content
  const message = said.trim().split('\n')[0] ?? ''
  if (exitCode === NOT_HELD) {
    throw new BackstayError('WAL_MISSING', `Cannot get WAL file "${name}": it is not held`)
  }
  throw new BackstayError('HOST_UNREACHABLE', `Cannot get WAL file "${name}": ${message}`)
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
