/**
 * Prefetching for recoveries on this machine, inside the service: at most one for each folder, a
 * newer wish replaces it.
 */
import type { Segment } from '../postgres/segment-name.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { fillerToken, ownFolder } from '../wal/prefetch-folder.ts'
import { DEFAULT_AHEAD, prefetchSegments } from '../wal/prefetch.ts'

/** Recoveries served at a time; more of them fetch segment by segment. */
const FOLDERS_MAX = 8

/** Runs prefetches until disposed. */
export class Prefetchers implements AsyncDisposable {
  readonly #stop = new AbortController()
  readonly #running = new Map<string, Promise<void>>()
  #started = 0

  /**
   * Keeps `directory` filled from `from` on. Resolves when the folder says so, before anything was
   * fetched.
   */
  async start(repository: ClusterRepository, directory: string, from: Segment): Promise<void> {
    if (this.#running.size >= FOLDERS_MAX && !this.#running.has(directory)) return
    this.#started += 1
    const token = fillerToken(process.pid, this.#started)
    const { clock, identity } = repository
    await ownFolder(
      { directory, segmentBytes: identity.segmentBytes, clock },
      { token, next: from },
    )
    const options = { repository, directory, from, token, ahead: DEFAULT_AHEAD }
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
