/**
 * Keeps a recovery's prefetch folder filled.
 */
import { WAY_HOST } from '../../cluster/machine/way-files.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { parseSegmentName } from '../../postgres/segment-name.ts'
import { type ClusterRepository, openCluster } from '../../repository/cluster-repository.ts'
import { fillerToken } from '../../wal/prefetch-folder.ts'
import { DEFAULT_AHEAD, prefetchSegments } from '../../wal/prefetch.ts'
import type { ARGUMENTS, OPTIONS } from '../commands/wal-prefetch.ts'
import type { CommandContext } from '../context.ts'
import { ownWayConfig } from '../../service/own-way.ts'
import { openStore } from '../../store/address.ts'
import { openWalPlace } from './wal-place.ts'

/** Runs until nobody takes segments any more. @throws {BackstayError} USAGE, REPOSITORY_MISSING */
export async function run(
  context: CommandContext<typeof OPTIONS, typeof ARGUMENTS>,
): Promise<void> {
  const repository = await openRepository(context)
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

async function openRepository(context: CommandContext<typeof OPTIONS>): Promise<ClusterRepository> {
  const { way, cluster } = context.options
  if (way === undefined) return await openWalPlace(context)
  const command = ['ssh', '-F', ownWayConfig(way), WAY_HOST, 'read']
  const store = await openStore({ kind: 'pipe', command })
  return await openCluster(store, cluster ?? '', context.clock)
}
