/**
 * `restore_command`: puts a WAL file where PostgreSQL wants it. What was prefetched is moved there;
 * what is fetched is written under a temporary name first, so that a killed command leaves nothing
 * that looks whole.
 */
import { parseSegmentName, type Segment } from '../postgres/segment-name.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { isCovered, takePrefetched } from './prefetch-folder.ts'
import { type FoundWalFile, readWalFile } from './read-wal-file.ts'
import { refuseAbsent } from './absent-wal.ts'
import { placeWalFile } from './write-whole.ts'

/** How to get a file. */
export interface GetOptions {
  /** Where prefetched segments lie; undefined looks for none. */
  readonly prefetchDirectory?: string | undefined
  /** Asked to fetch what recovery will want next; not awaited by PostgreSQL. Must not throw. */
  readonly prefetchFrom?: (next: Segment) => void | Promise<void>
}

/** Where the file came from. */
export type GotFrom = FoundWalFile['from'] | 'prefetched'

/**
 * Puts WAL file `name` at `target`.
 * @throws {BackstayError} WAL_MISSING when it is not held, WAL_HOLE when later WAL is, WAL_INVALID,
 * REPOSITORY_DAMAGED, STORE.
 */
export async function getWalFile(
  repository: ClusterRepository,
  wanted: { readonly name: string; readonly target: string },
  options: GetOptions = {},
): Promise<GotFrom> {
  const { name, target } = wanted
  const { segmentBytes } = repository.identity
  const segment = parseSegmentName(name, segmentBytes)
  const { prefetchDirectory: directory, prefetchFrom } = options
  const folder =
    directory === undefined ? undefined : { directory, segmentBytes, clock: repository.clock }
  if (segment !== undefined && folder !== undefined) {
    if (await takePrefetched(folder, segment, target)) return 'prefetched'
  }
  // A damaged history is not "not held" either: PostgreSQL would miss a line, or give its number
  // out twice (docs/adr/0076).
  const file = (await readWalFile(repository, name)) ?? (await refuseAbsent(repository, name))
  await placeWalFile(file.content, target)
  if (segment !== undefined && folder !== undefined && file.from === 'repository') {
    const next = { ...segment, number: segment.number + 1n }
    if (!(await isCovered(folder, next))) await prefetchFrom?.(next)
  }
  return file.from
}
