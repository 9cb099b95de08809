/**
 * Files of a data directory that are open for the workers to read. As the user who owns the data
 * directory: what lies there is his, and may be replaced at any moment.
 */
import { close, constants, fstat, open, type Stats } from 'node:fs'
import { promisify } from 'node:util'
import { filePath } from '../../util/byte-path.ts'
import { ifThere } from './about-file.ts'

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants
const openAsync = promisify(open)
const statAsync = promisify(fstat)
const closeAsync = promisify(close)

/** An open file, as it was when it was opened. */
export interface OpenDataFile {
  readonly descriptor: number
  readonly facts: Stats
}

/** Keeps them; dispose closes what is still open, once nobody reads any more. */
export class OpenFiles implements AsyncDisposable {
  readonly #descriptors = new Set<number>()

  /** Undefined for what has gone, or is no file any more. @throws {BackstayError} FAILED */
  async open(path: string): Promise<OpenDataFile | undefined> {
    const descriptor = await openIfThere(path)
    if (descriptor === undefined) return undefined
    this.#descriptors.add(descriptor)
    const facts = await statAsync(descriptor)
    if (facts.isFile()) return { descriptor, facts }
    await this.close(descriptor)
    return undefined
  }

  async close(descriptor: number): Promise<void> {
    if (this.#descriptors.delete(descriptor)) await closeAsync(descriptor)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#descriptors].map(async (each) => this.close(each)))
  }
}

/** A link in the place of a file (ELOOP), or a directory, is none. */
async function openIfThere(path: string): Promise<number | undefined> {
  const absent = ['ENOENT', 'ELOOP', 'ENXIO', 'ENOTDIR']
  const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK
  return await ifThere(path, async () => openAsync(filePath(path), flags), absent)
}
