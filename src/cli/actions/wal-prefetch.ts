/**
 * Keeps a recovery's prefetch folder filled.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { parseSegmentName } from '../../postgres/segment-name.ts'
import { fillerToken } from '../../wal/prefetch-folder.ts'
import { DEFAULT_AHEAD, prefetchSegments } from '../../wal/prefetch.ts'
import type { ARGUMENTS } from '../commands/wal-prefetch.ts'
import type { WalPlaceOptions } from '../commands/wal-options.ts'
import type { CommandContext } from '../context.ts'
import { openWalPlace } from './wal-place.ts'

/** Runs until nobody takes segments any more. @throws {BackstayError} USAGE, REPOSITORY_MISSING */
export async function run(
  context: CommandContext<WalPlaceOptions, typeof ARGUMENTS>,
): Promise<void> {
  const repository = await openWalPlace(context)
  const { directory, segment } = context.arguments
  const from = parseSegmentName(segment, repository.identity.segmentBytes)
  if (from === undefined) {
    throw new BackstayError('USAGE', `Cannot prefetch from "${segment}": that names no WAL segment`)
  }
  const token = fillerToken(process.pid)
  await prefetchSegments(
    { repository, directory, from, token, ahead: DEFAULT_AHEAD },
    context.signal,
  )
}
