/**
 * A store that is read through a pipe: the files are on another machine, and a process there serves
 * them (pipe-server.ts).
 */
import { BackstayError } from '../errors/backstay-error.ts'
import type { PipeClient } from './pipe-client.ts'
import { READ_BYTES_MAX } from './pipe-frames.ts'
import { readWhole } from './read-whole.ts'
import { ReadOnlyStore } from './read-only-store.ts'
import type { ObjectReader, StoreAddress } from './store.ts'

/** Reads only: everything that writes is refused. */
export class PipeStore extends ReadOnlyStore implements AsyncDisposable {
  readonly location: string
  readonly address: StoreAddress
  readonly #client: PipeClient

  /** @param client ends with the store */
  constructor(client: PipeClient, location = 'the backup server') {
    super()
    this.#client = client
    this.location = location
    this.address = { kind: 'pipe', command: client.command }
  }

  async get(name: string, limitBytes: number): Promise<Buffer | undefined> {
    await using reader = await this.open(name)
    return reader && (await readWhole(reader, name, limitBytes))
  }

  async open(name: string): Promise<ObjectReader | undefined> {
    const sizeBytes = await this.size(name)
    if (sizeBytes === undefined) return undefined
    return {
      sizeBytes,
      read: async (position, target) => this.#read(name, position, target),
      [Symbol.asyncDispose]: async () => {},
    }
  }

  async size(name: string): Promise<number | undefined> {
    const size = await this.#client.call('size', { name })
    if (size === undefined || isCount(size)) return size
    throw noAnswer('size')
  }

  async *list(folder: string): AsyncIterable<string> {
    yield* await this.#names('list', folder)
  }

  async listObjects(folder: string): Promise<string[]> {
    return await this.#names('listObjects', folder)
  }

  async listFolders(folder: string): Promise<string[]> {
    return await this.#names('listFolders', folder)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]()
  }

  async #names(call: string, folder: string): Promise<string[]> {
    const names = await this.#client.call(call, { folder })
    if (Array.isArray(names) && names.every((name) => typeof name === 'string')) return names
    throw noAnswer(call)
  }

  async #read(name: string, position: number, target: Uint8Array): Promise<void> {
    for (let done = 0; done < target.byteLength;) {
      const length = Math.min(READ_BYTES_MAX, target.byteLength - done)
      const bytes = await this.#client.bytes('read', { name, position: position + done, length })
      if (bytes === undefined || bytes.length !== length) {
        throw new BackstayError('REPOSITORY_DAMAGED', `Cannot read "${name}": it is not whole`)
      }
      target.set(bytes, done)
      done += length
    }
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

function noAnswer(call: string): BackstayError {
  return new BackstayError('FAILED', `Cannot read from the pipe: the answer to "${call}" is none`)
}
