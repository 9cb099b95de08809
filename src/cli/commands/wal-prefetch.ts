/**
 * `backstay wal prefetch`: started by `wal get` in the background; not for people.
 */
import { WAY_HOST } from '../../cluster/machine/way-files.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import { parseSegmentName } from '../../postgres/segment-name.ts'
import { type ClusterRepository, openCluster } from '../../repository/cluster-repository.ts'
import { ownWayConfig } from '../../service/own-way.ts'
import { openStore } from '../../store/address.ts'
import { fillerToken } from '../../wal/prefetch-folder.ts'
import { DEFAULT_AHEAD, prefetchSegments } from '../../wal/prefetch.ts'
import type { CommandContext } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import type { ArgumentSpec, OptionSpecs } from '../option-spec.ts'
import { openWalPlace } from '../session/wal-place.ts'
import { WAL_PLACE_OPTIONS, WAY_OPTION } from './wal-options.ts'

const OPTIONS = { ...WAL_PLACE_OPTIONS, ...WAY_OPTION } as const satisfies OptionSpecs

const ARGUMENTS = [
  { name: 'directory', help: 'Folder to keep filled' },
  { name: 'segment', help: 'First segment to fetch' },
] as const satisfies readonly ArgumentSpec[]

export default defineCommand({
  options: OPTIONS,
  arguments: ARGUMENTS,
  run,
})

/** Runs until nobody takes segments any more. @throws {BackstayError} USAGE, REPOSITORY_MISSING */
async function run(context: CommandContext<typeof OPTIONS, typeof ARGUMENTS>): Promise<void> {
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
