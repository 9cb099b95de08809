/**
 * Stores the block maps of received segments while the next segment is judged: syncing one takes as
 * long as much of that, and nothing waits for a map. One that was not stored when the program died
 * is made from its segment when it is needed.
 */
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { tryStoreBlocks } from './stored-blocks.ts'

/** One map at a time. Disposing waits for it. */
export class BlocksKeeper implements AsyncDisposable {
  readonly #repository: ClusterRepository
  #running: Promise<void> = Promise.resolve()

  constructor(repository: ClusterRepository) {
    this.#repository = repository
  }

  /**
   * Resolves once the map before is done with.
   * @param segment 24 hex digits; stored already
   * @param encoded belongs to the keeper from now on
   */
  async keep(segment: string, encoded: Uint8Array): Promise<void> {
    const before = this.#running
    this.#running = Promise.resolve()
    await before
    this.#running = tryStoreBlocks(this.#repository, segment, encoded)
    // Who comes next is told.
    this.#running.catch(() => undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running
  }
}
