/**
 * The service's answer to `get-wal`: repositories stay open, and what recovery will want next is
 * fetched ahead.
 */
import { basename } from 'node:path'
import { type ClusterRepository, openCluster } from '../repository/cluster-repository.ts'
import type { Store } from '../store/store.ts'
import type { Clock } from '../util/clock.ts'
import { getWalFile } from '../wal/get.ts'
import { prefetchDirectoryFor } from '../wal/prefetch-folder.ts'
import type { ControlCall } from './control-protocol.ts'
import { Prefetchers } from './prefetchers.ts'

/** Gets WAL files for recoveries on this machine. */
export class WalServer implements AsyncDisposable {
  readonly #store: Store
  readonly #clock: Clock
  readonly #clusters = new Map<string, ClusterRepository>()
  readonly #prefetchers = new Prefetchers()

  constructor(store: Store, clock: Clock) {
    this.#store = store
    this.#clock = clock
  }

  /**
   * @throws {BackstayError} WAL_MISSING, REPOSITORY_MISSING for an unknown cluster,
   * REPOSITORY_DAMAGED, …
   */
  async get(call: Extract<ControlCall, { call: 'get-wal' }>): Promise<{ readonly from: string }> {
    const repository = await this.#open(call.cluster)
    if (basename(call.target) !== 'RECOVERYXLOG')
      return { from: await getWalFile(repository, call) }
    const prefetchDirectory = await prefetchDirectoryFor(call.target)
    const from = await getWalFile(repository, call, {
      prefetchDirectory,
      prefetchFrom: (next) => this.#prefetchers.start(repository, prefetchDirectory, next),
    })
    return { from }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#prefetchers[Symbol.asyncDispose]()
  }

  async #open(cluster: string): Promise<ClusterRepository> {
    const known = this.#clusters.get(cluster)
    if (known !== undefined) return known
    const opened = await openCluster(this.#store, cluster, this.#clock)
    this.#clusters.set(cluster, opened)
    return opened
  }
}
