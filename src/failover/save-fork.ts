/**
 * Puts the WAL that only a former primary has into the repository, where it outlives the machine:
 * docs/repository-format.md §9.
 */
import { posix } from 'node:path'
import { runChecked } from '../host/run-checked.ts'
import { clusterNames } from '../repository/format.ts'
import { compressFrameAsync } from '../repository/codec.ts'
import type { ClusterContext, Machine } from '../cluster/context.ts'
import type { ServerWanted } from '../cluster/wanted.ts'
import type { Fork } from './keep-fork.ts'
import { directoryReader } from './wal-readers.ts'
import { segmentsBetween } from './wal-sources.ts'

/**
 * Arguments: folder, name. Written by the repository's owner; what is there already was saved by a
 * run that died.
 */
const SAVE = `
umask 077 && mkdir -p -- "$1" && cd -- "$1" || exit
[ -e "$2" ] && exit 0
cat >".$2.new" && sync -- ".$2.new" && mv -fT -- ".$2.new" "$2" && sync -- . .. ../..
`
const SAVE_TIMEOUT_MS = 10 * 60_000

/**
 * Saves it. Returns the folder on the backup server; undefined without one, and when there is
 * nothing after the fork.
 * @throws what reading and writing throw.
 */
export async function saveFork(
  context: ClusterContext,
  server: ServerWanted,
  fork: Fork,
): Promise<string | undefined> {
  const { backup } = context.wanted
  const { forkLsn, end, ...place } = fork
  const names = segmentsBetween({ timeline: end.timeline, lsn: forkLsn, ...place }, end.lsn)
  if (backup === undefined || names.length === 0) return undefined
  const reader = await directoryReader(context, server, fork.segmentBytes)
  const vault = await context.machineOf(backup)
  const object = clusterNames(context.wanted.name).forkFolder(server.name, end.timeline, forkLsn)
  const folder = posix.join(backup.repository, object)
  await requireRepository(vault, backup.repository)
  for (const name of names) {
    const content = await reader.readSegment(name)
    if (content !== undefined) await save(vault, { folder, name: `${name}.zst` }, content)
  }
  return folder
}

/** A repository that is not mounted is not made anew. */
async function requireRepository({ host, osUser }: Machine, repository: string): Promise<void> {
  await runChecked(host, ['test', '-f', posix.join(repository, 'repository.json')], {
    user: osUser,
  })
}

async function save(
  { host, osUser }: Machine,
  place: { readonly folder: string; readonly name: string },
  content: Buffer,
): Promise<void> {
  const input = await compressFrameAsync(content)
  const words = ['sh', '-c', SAVE, 'sh', place.folder, place.name]
  await runChecked(host, words, { user: osUser, input, timeoutMs: SAVE_TIMEOUT_MS })
}
