/**
 * The CRC-32C of every page of a backup's relation files, in the order of its manifest
 * (docs/repository-format.md §6a). The next backup learns from it which pages are as they were,
 * without reading one of them. Derived: without it pages are read.
 */
import { crc32c } from '@node-rs/crc32'
import { firstBlockOfPath } from '../postgres/relation-path.ts'
import type { ObjectReader, ObjectWriter, Store } from '../store/store.ts'
import type { BackupId } from './backup-info.ts'
import type { ClusterNames } from './format.ts'
import type { ManifestFile } from './manifest-entry.ts'
import { pageCountOf } from './page-crcs.ts'

const MAGIC = 'BSPG0001'
const ID_BYTES = 16
const HEAD_BYTES = MAGIC.length + ID_BYTES
const WORD_BYTES = 4

/** Small files are collected until so much is there. */
const WRITE_BYTES = 256 * 1024

/** Read at once: files are asked for in much the same order as they lie there. */
const CHUNK_BYTES = 64 * 1024
const CACHED_CHUNKS = 32

/** Words (CRCs, and one that checks them) that a file takes; 0 for one that has none. */
export function pageCrcWords(file: { readonly path: string; readonly sizeBytes: number }): number {
  if (file.sizeBytes === 0 || firstBlockOfPath(file.path) === undefined) return 0
  return pageCountOf(file.sizeBytes) + 1
}

/**
 * Writes it beside a manifest. Call `add` for every file of the manifest in its order, then
 * `finish`.
 */
export class PageCrcWriter implements AsyncDisposable {
  readonly #object: ObjectWriter
  #parts: Buffer[] = []
  #waitingBytes = 0

  private constructor(object: ObjectWriter, id: BackupId) {
    this.#object = object
    this.#push(headOf(id))
  }

  static async create(
    store: Store,
    names: Pick<ClusterNames, 'pageCrcs'>,
    id: BackupId,
  ): Promise<PageCrcWriter> {
    return new PageCrcWriter(await store.create(names.pageCrcs(id)), id)
  }

  /** `crcs`: of a file that has pages, as many as it has; belongs to the writer from now on. */
  async add(file: ManifestFile, crcs: Uint32Array | undefined): Promise<void> {
    const words = pageCrcWords(file)
    if (words === 0) return
    if (crcs?.length !== words - 1) throw new RangeError(`"${file.path}" has no CRCs of its pages`)
    const content = Buffer.from(crcs.buffer, crcs.byteOffset, crcs.byteLength)
    const check = Buffer.allocUnsafe(WORD_BYTES)
    check.writeUInt32LE(crc32c(content))
    this.#push(content)
    this.#push(check)
    if (this.#waitingBytes >= WRITE_BYTES) await this.#flush()
  }

  /** Makes it durable; returns its size. */
  async finish(): Promise<number> {
    await this.#flush()
    const storedBytes = this.#object.position
    await this.#object.commit()
    return storedBytes
  }

  /** Leaving the scope without `finish` drops it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#object[Symbol.asyncDispose]()
  }

  #push(part: Buffer): void {
    this.#parts.push(part)
    this.#waitingBytes += part.length
  }

  async #flush(): Promise<void> {
    const content = Buffer.concat(this.#parts)
    this.#parts = []
    this.#waitingBytes = 0
    await this.#object.write([content])
  }
}

/** Reads it. Calls may overlap; dispose when none is running. */
export class PageCrcReader implements AsyncDisposable {
  readonly #object: ObjectReader
  readonly #chunks = new Map<number, Promise<Buffer>>()

  private constructor(object: ObjectReader) {
    this.#object = object
  }

  /** Opens that of backup `id`; undefined when it is missing or another one's. */
  static async open(
    store: Store,
    names: Pick<ClusterNames, 'pageCrcs'>,
    id: BackupId,
  ): Promise<PageCrcReader | undefined> {
    const object = await store.open(names.pageCrcs(id))
    if (object === undefined) return undefined
    const head = Buffer.alloc(HEAD_BYTES)
    if (object.sizeBytes >= HEAD_BYTES) await object.read(0, head)
    if (head.equals(headOf(id))) return new PageCrcReader(object)
    await object[Symbol.asyncDispose]()
    return undefined
  }

  /**
   * The CRCs of a file whose words begin at `firstWord`; undefined when they are damaged or not all
   * there.
   */
  async read(file: ManifestFile, firstWord: number): Promise<Uint32Array | undefined> {
    const words = pageCrcWords(file)
    const at = HEAD_BYTES + firstWord * WORD_BYTES
    const bytes = words * WORD_BYTES
    if (words === 0 || at + bytes > this.#object.sizeBytes) return undefined
    // Of its own memory: words must be aligned.
    const content = Buffer.from(new ArrayBuffer(bytes))
    await this.#fill(at, content)
    const crcs = content.subarray(0, bytes - WORD_BYTES)
    if (crc32c(crcs) !== content.readUInt32LE(bytes - WORD_BYTES)) return undefined
    return new Uint32Array(content.buffer, content.byteOffset, words - 1)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#object[Symbol.asyncDispose]()
  }

  async #fill(at: number, target: Buffer): Promise<void> {
    if (target.length > CHUNK_BYTES) return await this.#object.read(at, target)
    for (let filled = 0; filled < target.length;) {
      const position = at + filled
      const chunk = await this.#chunk(Math.floor(position / CHUNK_BYTES))
      filled += chunk.copy(target, filled, position % CHUNK_BYTES)
    }
  }

  #chunk(number: number): Promise<Buffer> {
    const known = this.#chunks.get(number)
    if (known !== undefined) return known
    const [oldest] = this.#chunks.keys()
    if (oldest !== undefined && this.#chunks.size >= CACHED_CHUNKS) this.#chunks.delete(oldest)
    const content = this.#readChunk(number)
    this.#chunks.set(number, content)
    return content
  }

  async #readChunk(number: number): Promise<Buffer> {
    const at = number * CHUNK_BYTES
    const content = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, this.#object.sizeBytes - at))
    await this.#object.read(at, content)
    return content
  }
}

function headOf(id: BackupId): Buffer {
  const head = Buffer.alloc(HEAD_BYTES)
  head.write(`${MAGIC}${id}`, 'latin1')
  return head
}
