/**
 * The WAL of a repository with the operator's scripts around each file.
 */
import { join } from 'node:path'
import type { BarmanServer } from '../config/barman/model.ts'
import { formatHistoryName } from '../postgres/segment-name.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { WalObjects, type WalPutOutcome } from '../repository/wal-objects.ts'
import type { BarmanContext } from './context.ts'
import { type HookName, withHooks } from './hooks.ts'

/** One WAL file as a script is told of it. */
interface HookedFile {
  readonly name: string
  /** Its object in the repository. */
  readonly object: string
  readonly bytes: number
}

/** Calls scripts before and after a file comes or goes. */
export class HookedWal extends WalObjects {
  readonly #context: BarmanContext
  readonly #server: BarmanServer
  readonly #repository: ClusterRepository

  constructor(context: BarmanContext, server: BarmanServer, repository: ClusterRepository) {
    const { store, names, identity } = repository
    super(store, names, identity.segmentBytes)
    this.#context = context
    this.#server = server
    this.#repository = repository
  }

  override async putSegment(segment: string, content: Uint8Array): Promise<WalPutOutcome> {
    const object = this.#repository.names.walSegment(segment)
    const file = { name: segment, object, bytes: content.byteLength }
    return await this.#around('archive', file, async () => super.putSegment(segment, content))
  }

  override async putHistory(
    timeline: number,
    content: Uint8Array,
  ): Promise<WalPutOutcome | 'replaced'> {
    const object = this.#repository.names.walHistory(timeline)
    const file = { name: formatHistoryName(timeline), object, bytes: content.byteLength }
    return await this.#around('archive', file, async () => super.putHistory(timeline, content))
  }

  override async putBackupHistory(name: string, content: Uint8Array): Promise<WalPutOutcome> {
    const object = this.#repository.names.walBackupHistory(name)
    const file = { name, object, bytes: content.byteLength }
    return await this.#around('archive', file, async () => super.putBackupHistory(name, content))
  }

  override async deleteSegment(segment: string): Promise<boolean> {
    const { store, names } = this.#repository
    const object = names.walSegment(segment)
    const file = { name: segment, object, bytes: (await store.size(object)) ?? 0 }
    return await this.#around('wal_delete', file, async () => super.deleteSegment(segment))
  }

  async #around<T>(name: HookName, file: HookedFile, work: () => Promise<T>): Promise<T> {
    const context = this.#context
    const variables = (): Record<string, string> => ({
      BARMAN_SEGMENT: file.name,
      BARMAN_FILE: join(this.#repository.store.location, file.object),
      BARMAN_SIZE: String(file.bytes),
      BARMAN_TIMESTAMP: String(Math.floor(context.clock.now() / 1000)),
      BARMAN_COMPRESSION: 'zstd',
    })
    return await withHooks({ context, server: this.#server, name, variables }, work)
  }
}
