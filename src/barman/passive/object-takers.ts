/**
 * What is done with objects that come from the primary: small ones are looked at before they are
 * stored, packs go straight to their place. Nothing is replaced.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { inspectSegment } from '../../postgres/wal-page.ts'
import { parseWalFileName } from '../../postgres/segment-name.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import { walBytesMax } from '../../repository/wal-objects.ts'
import { decompressUnknownAsync, frameBound } from '../../repository/codec.ts'
import type { ObjectWriter } from '../../store/store.ts'
import type { ObjectTaker } from './primary-objects.ts'

/** Gathers each object whole, of at most `mostBytes`, and gives it to `take`. */
export class WholeTaker implements ObjectTaker {
  readonly #take: (name: string, content: Buffer) => Promise<void>
  readonly #mostBytes: number
  #name = ''
  #parts: Buffer[] = []

  constructor(mostBytes: number, take: (name: string, content: Buffer) => Promise<void>) {
    this.#mostBytes = mostBytes
    this.#take = take
  }

  begin(name: string, bytes: number): Promise<void> {
    if (bytes > this.#mostBytes) return Promise.reject(tooLarge(name))
    this.#name = name
    this.#parts = []
    return Promise.resolve()
  }

  data(chunk: Buffer): Promise<void> {
    this.#parts.push(Buffer.from(chunk))
    return Promise.resolve()
  }

  async end(): Promise<void> {
    await this.#take(this.#name, Buffer.concat(this.#parts))
  }
}

/**
 * Writes each object as it comes, none that is longer than it was said to be: that would only fill
 * the disk. Dispose drops what is half there.
 */
export class StoringTaker implements ObjectTaker, AsyncDisposable {
  readonly #cluster: ClusterRepository
  readonly #mostBytes: ReadonlyMap<string, number>
  #writer: ObjectWriter | undefined

  /** `mostBytes`: of each object that may come. */
  constructor(cluster: ClusterRepository, mostBytes: ReadonlyMap<string, number>) {
    this.#cluster = cluster
    this.#mostBytes = mostBytes
  }

  async begin(name: string, bytes: number): Promise<void> {
    if (bytes > (this.#mostBytes.get(name) ?? 0)) throw tooLarge(name)
    this.#writer = await this.#cluster.store.create(name)
  }

  async data(chunk: Buffer): Promise<void> {
    await this.#writer?.write([chunk])
  }

  async end(): Promise<void> {
    await this.#writer?.commit()
    await this[Symbol.asyncDispose]()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer?.[Symbol.asyncDispose]()
    this.#writer = undefined
  }
}

function tooLarge(name: string): BackstayError {
  return new BackstayError('HOST_COMMAND', `Cannot copy "${name}": it is too large`)
}

/** Of an object of WAL: not more than a segment and its frame. */
export function walObjectBytesMax({ identity }: ClusterRepository): number {
  return frameBound(Math.max(identity.segmentBytes, walBytesMax('', identity.segmentBytes)))
}

/**
 * Stores one object of WAL once it is proved whole and of this cluster.
 * @throws {BackstayError} WAL_INVALID, REPOSITORY_DAMAGED
 */
export async function storeWalObject(
  cluster: ClusterRepository,
  object: string,
  frame: Buffer,
): Promise<void> {
  const name =
    object
      .split('/')
      .at(-1)
      ?.replace(/\.zst$/, '') ?? ''
  const { identity } = cluster
  const file = name.replace(/\.[0-9A-F]{8}(?:-[0-9A-F]{16})?\.partial$/, '.partial')
  const limitBytes = walBytesMax(file, identity.segmentBytes)
  const content = await decompressUnknownAsync(frame, `"${object}"`, limitBytes)
  if (parseWalFileName(name)?.kind === 'segment') {
    const { problem } = inspectSegment(content, { ...identity, name, fileBytes: content.length })
    if (problem !== undefined) {
      throw new BackstayError('WAL_INVALID', `Cannot store WAL file "${name}": ${problem}`)
    }
  }
  await cluster.store.put(object, frame)
}
