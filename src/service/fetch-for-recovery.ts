/**
 * What `wal get` does for a running recovery: asks the service when one runs (its cache is warm and
 * it prefetches), else fetches by itself. Few modules are loaded, and those of the slow way only
 * when it is gone.
 */
import { existsSync } from 'node:fs'
import { isBackstayError } from '../errors/backstay-error.ts'
import type { Segment } from '../postgres/segment-name.ts'
import type { Clock } from '../util/clock.ts'
import { controlSocketOf } from './control-protocol.ts'

/** Longest time a service may take for one file. */
const SERVICE_TIMEOUT_MS = 60_000

/** A file that recovery wants. */
export interface RecoveryWish {
  readonly repositoryDirectory: string
  readonly cluster: string
  /** `%f`. */
  readonly name: string
  /** `%p`, absolute. */
  readonly target: string
  readonly clock: Clock
  /** Starts a prefetch that outlives this process; returns its pid. */
  readonly startPrefetch: (
    directory: string,
    from: Segment & { readonly segmentBytes: number },
  ) => number | undefined
}

/**
 * Puts the file at its target.
 * @throws {BackstayError} WAL_MISSING when it is not held; REPOSITORY_DAMAGED, STORE, …
 */
export async function fetchForRecovery(wish: RecoveryWish): Promise<void> {
  if (await askService(wish)) return
  const [{ storeAt }, { openCluster }, { getWalFile }, folder] = await Promise.all([
    import('../store/address.ts'),
    import('../repository/cluster-repository.ts'),
    import('../wal/get.ts'),
    import('../wal/prefetch-folder.ts'),
  ])
  const { beginPrefetch, isFollowed, prefetchDirectoryFor } = folder
  const store = storeAt(wish.repositoryDirectory)
  const repository = await openCluster(store, wish.cluster, wish.clock)
  if (!isFollowed(wish.target)) return void (await getWalFile(repository, wish))
  const { segmentBytes } = repository.identity
  const directory = await prefetchDirectoryFor(wish.target)
  const place = { directory, segmentBytes, clock: wish.clock }
  await getWalFile(repository, wish, {
    prefetchDirectory: directory,
    prefetchFrom: async (from) =>
      beginPrefetch(place, from, () => wish.startPrefetch(directory, { ...from, segmentBytes })),
  })
}

/**
 * True when the service did it. One that cannot be reached or does not know the cluster is passed
 * over.
 */
async function askService(wish: RecoveryWish): Promise<boolean> {
  const socket = controlSocketOf(wish.repositoryDirectory)
  if (!existsSync(socket)) return false
  const { callService } = await import('./control-client.ts')
  const { cluster, name, target } = wish
  try {
    const call = { call: 'get-wal', cluster, name, target } as const
    return (await callService(socket, call, SERVICE_TIMEOUT_MS)) !== 'absent'
  } catch (error) {
    if (isBackstayError(error, 'WAL_MISSING')) throw error
    return false
  }
}
