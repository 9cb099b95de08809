/**
 * A store in memory, for tests. Nothing survives the process.
 */
import { BackstayError } from '../../src/errors/backstay-error.ts'
import { checkWhole } from '../../src/store/read-whole.ts'
import type {
  ObjectReader,
  ObjectWriter,
  PutOutcome,
  Store,
  SweptLeftovers,
} from '../../src/store/store.ts'

/**
 * Holds every object whole. Unfinished objects vanish with their writers, so `sweep` finds nothing.
 */
export class MemoryStore implements Store {
  readonly location = 'memory'
  readonly address = undefined
  readonly #objects = new Map<string, Buffer>()

  put(name: string, content: Uint8Array): Promise<PutOutcome> {
    return Promise.resolve(this.#name(name, Buffer.from(content)))
  }

  replace(name: string, content: Uint8Array): Promise<void> {
    this.#objects.set(name, Buffer.from(content))
    return Promise.resolve()
  }

  create(name: string): Promise<ObjectWriter> {
    const parts: Buffer[] = []
    let position = 0
    return Promise.resolve({
      get position() {
        return position
      },
      write: (added) => {
        parts.push(...added.map((part) => Buffer.from(part)))
        position += added.reduce((sum, part) => sum + part.byteLength, 0)
        return Promise.resolve()
      },
      sync: () => Promise.resolve(),
      commit: () => Promise.resolve(this.#name(name, Buffer.concat(parts))),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    })
  }

  async get(name: string, limitBytes: number): Promise<Buffer | undefined> {
    const content = this.#objects.get(name)
    if (content === undefined) return undefined
    checkWhole(name, content.byteLength, limitBytes)
    return Buffer.from(content)
  }

  open(name: string): Promise<ObjectReader | undefined> {
    const content = this.#objects.get(name)
    if (content === undefined) return Promise.resolve(undefined)
    return Promise.resolve({
      sizeBytes: content.byteLength,
      read: async (position, target) => copyFrom(content, position, target),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    })
  }

  size(name: string): Promise<number | undefined> {
    return Promise.resolve(this.#objects.get(name)?.byteLength)
  }

  async *list(folder: string): AsyncIterable<string> {
    yield* this.#below(folder)
  }

  listObjects(folder: string): Promise<string[]> {
    const paths = this.#partsBelow(folder).filter((path) => path.length === 1)
    return Promise.resolve(paths.map((path) => path[0] ?? ''))
  }

  listFolders(folder: string): Promise<string[]> {
    const paths = this.#partsBelow(folder).filter((path) => path.length > 1)
    return Promise.resolve([...new Set(paths.map((path) => path[0] ?? ''))])
  }

  delete(name: string): Promise<boolean> {
    return Promise.resolve(this.#objects.delete(name))
  }

  sweep(): Promise<SweptLeftovers> {
    return Promise.resolve({ files: 0, bytes: 0 })
  }

  #below(folder: string): string[] {
    const prefix = folder === '' ? '' : `${folder}/`
    return [...this.#objects.keys()].filter((name) => name.startsWith(prefix)).sort()
  }

  #partsBelow(folder: string): string[][] {
    const skip = folder === '' ? 0 : folder.length + 1
    return this.#below(folder).map((name) => name.slice(skip).split('/'))
  }

  #name(name: string, content: Buffer): PutOutcome {
    if (this.#objects.has(name)) return 'exists'
    this.#objects.set(name, content)
    return 'stored'
  }
}

function copyFrom(content: Buffer, position: number, target: Uint8Array): void {
  if (position + target.byteLength > content.byteLength) {
    throw new BackstayError('REPOSITORY_DAMAGED', `Cannot read past byte ${content.byteLength}`)
  }
  target.set(content.subarray(position, position + target.byteLength))
}
