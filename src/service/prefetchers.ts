/**
 * Prefetching for recoveries on this machine, inside the service: at most one for each folder, a newer wish replaces it.
 */
import type { Segment } from '../postgres/segment-name.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { DEFAULT_AHEAD, prefetchSegments } from '../wal/prefetch.ts'

/** Recoveries served at a time; more of them fetch segment by segment. */
const FOLDERS_MAX = 8

/** Runs prefetches until disposed. */
export class Prefetchers implements AsyncDisposable {
  readonly #stop = new AbortController()
  readonly #running = new Map<string, Promise<void>>()

  /** Keeps `directory` filled from `from` on. Returns at once. */
  start(repository: ClusterRepository, directory: string, from: Segment): void {
    if (this.#running.size >= FOLDERS_MAX && !this.#running.has(directory)) return
    const options = { repository, directory, from, ahead: DEFAULT_AHEAD }
    const run = prefetchSegments(options, this.#stop.signal)
      .catch(() => undefined)
      .finally(() => {
        if (this.#running.get(directory) === run) this.#running.delete(directory)
      })
    this.#running.set(directory, run)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#running.values())
  }
}
