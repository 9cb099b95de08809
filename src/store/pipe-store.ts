/**
 * A store that is read through a pipe: the files are on another machine, and a process there serves them (pipe-server.ts).
 */
import { BackstayError } from '../errors/backstay-error.ts'
import type { PipeClient } from './pipe-client.ts'
import { READ_BYTES_MAX } from './pipe-frames.ts'
import { readWhole } from './read-whole.ts'
import type { ObjectReader, ObjectWriter, PutOutcome, Store, SweptLeftovers } from './store.ts'

/** Reads only: everything that writes is refused. */
export class PipeStore implements Store, AsyncDisposable {
  readonly location: string
  readonly #client: PipeClient

  /** @param client ends with the store */
  constructor(client: PipeClient, location = 'the backup server') {
    this.#client = client
    this.location = location
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
    return (await this.#client.call('size', { name })) as number | undefined
  }

  async *list(folder: string): AsyncIterable<string> {
    yield* (await this.#client.call('list', { folder })) as string[]
  }

  async listObjects(folder: string): Promise<string[]> {
    return (await this.#client.call('listObjects', { folder })) as string[]
  }

  async listFolders(folder: string): Promise<string[]> {
    return (await this.#client.call('listFolders', { folder })) as string[]
  }

  put(): Promise<PutOutcome> {
    return refuse()
  }

  replace(): Promise<void> {
    return refuse()
  }

  create(): Promise<ObjectWriter> {
    return refuse()
  }

  delete(): Promise<boolean> {
    return refuse()
  }

  sweep(): Promise<SweptLeftovers> {
    return refuse()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]()
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

function refuse(): Promise<never> {
  return Promise.reject(new BackstayError('BUG', 'Cannot write to a repository through a pipe'))
}
