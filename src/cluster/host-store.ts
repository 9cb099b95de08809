/**
 * A repository's directory on a machine, read with what every machine has: no Backstay need run
 * there. For small objects and WAL; packs are read through a pipe (store/pipe-store.ts).
 */
import { posix } from 'node:path'
import { isBackstayError } from '../errors/backstay-error.ts'
import type { Host } from '../host/host.ts'
import { NAMES_BYTES_MAX, splitNames } from '../host/read-limit.ts'
import { commandError } from '../host/run-checked.ts'
import { ReadOnlyStore } from '../store/read-only-store.ts'
import { checkWhole } from '../store/read-whole.ts'
import type { ObjectReader } from '../store/store.ts'

/** Of an object that is opened: it is read whole, which is none for packs. */
const OPENED_BYTES_MAX = 64 * 1024 * 1024
/** Prints a letter for the kind, and the name; what is unfinished begins with a dot. */
const LIST = `find -H "$1" -mindepth 1 -maxdepth 1 ! -name '.*' -printf '%y%f\\0'`

/** Reads only, as the host's own user. Each call is one or two commands on the machine. */
export class HostStore extends ReadOnlyStore {
  readonly location: string
  readonly address = undefined
  readonly #host: Host

  /** @param directory absolute path there */
  constructor(host: Host, directory: string) {
    super()
    this.location = directory
    this.#host = host
  }

  async get(name: string, limitBytes: number): Promise<Buffer | undefined> {
    try {
      return await this.#host.readFile(this.#path(name), limitBytes)
    } catch (error) {
      // It does not say how long it is.
      if (isBackstayError(error, 'FAILED'))
        checkWhole(name, (await this.size(name)) ?? 0, limitBytes)
      throw error
    }
  }

  async open(name: string): Promise<ObjectReader | undefined> {
    const content = await this.get(name, OPENED_BYTES_MAX)
    if (content === undefined) return undefined
    return {
      sizeBytes: content.length,
      read: async (position, target) => {
        checkWhole(name, position + target.byteLength, content.length)
        target.set(content.subarray(position, position + target.byteLength))
        await Promise.resolve()
      },
      [Symbol.asyncDispose]: async () => {},
    }
  }

  async size(name: string): Promise<number | undefined> {
    const info = await this.#host.inspect(this.#path(name))
    return info?.kind === 'file' ? info.sizeBytes : undefined
  }

  async *list(folder: string): AsyncIterable<string> {
    const below = (name: string): string => (folder === '' ? name : `${folder}/${name}`)
    for (const { name, isFolder } of await this.#items(folder)) {
      if (isFolder) yield* this.list(below(name))
      else yield below(name)
    }
  }

  async listObjects(folder: string): Promise<string[]> {
    return (await this.#items(folder)).filter((item) => !item.isFolder).map((item) => item.name)
  }

  async listFolders(folder: string): Promise<string[]> {
    return (await this.#items(folder)).filter((item) => item.isFolder).map((item) => item.name)
  }

  /**
   * Sorted by name; none of a folder that is not there.
   * @throws HOST_COMMAND when it cannot be looked at: that is no answer
   */
  async #items(folder: string): Promise<{ readonly name: string; readonly isFolder: boolean }[]> {
    const host = this.#host
    const path = this.#path(folder)
    const names = gather()
    const command = ['sh', '-c', LIST, 'sh', path]
    const result = await host.run(command, { onStdout: names.take })
    if (result.exitCode !== 0) {
      if ((await host.inspect(path)) === undefined) return []
      throw commandError(host.name, command, result)
    }
    return splitNames(path, names.all())
      .map((line) => ({ name: line.slice(1), isFolder: line.startsWith('d') }))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  #path(name: string): string {
    return posix.join(this.location, name)
  }
}

/** Output as it comes, up to one byte too much: what `run` returns is its end only. */
function gather(): { readonly take: (part: Buffer) => void; readonly all: () => Buffer } {
  const parts: Buffer[] = []
  let bytes = 0
  return {
    take: (part) => {
      if (bytes >= NAMES_BYTES_MAX) return
      bytes += part.length
      parts.push(Buffer.from(part))
    },
    all: () => Buffer.concat(parts),
  }
}
