/**
 * Reads a manifest: all entries in order with one block in memory, or one entry again by its place.
 */
import { createHash, type Hash } from 'node:crypto'
import { BackstayError } from '../errors/backstay-error.ts'
import type { ObjectReader, Store } from '../store/store.ts'
import { type ManifestBlock, readBlock, readBlockTable } from './manifest-blocks.ts'
import type { ManifestEntry, ManifestTotals } from './manifest-entry.ts'
import { decodeEnd, decodeEntry, MANIFEST_MAGIC, PackTable, RECORD } from './manifest-records.ts'
import { ByteReader } from './record-bytes.ts'

/**
 * Blocks kept for `entryAt`; files come in much the same order from backup to backup, so a few are
 * enough.
 */
const CACHED_BLOCKS = 32
/** Of those that are kept, at most, unless it is one alone: blocks can be long. */
const CACHED_BYTES = 64 * 1024 * 1024

/** Where an entry is, to come back to it with `entryAt`. */
export interface EntryPlace {
  readonly block: number
  /** Position in the block's content. */
  readonly offset: number
}

/** An entry and where it is. */
export interface PlacedEntry {
  readonly entry: ManifestEntry
  readonly place: EntryPlace
}

/** What a full iteration learns on its way. */
interface Pass {
  readonly hash: Hash
  readonly packs: PackTable
  totals: ManifestTotals | undefined
}

/** An open manifest. Iterations may run beside each other; `entryAt` works after one has ended. */
export class ManifestReader implements AsyncDisposable {
  readonly #object: ObjectReader
  readonly #name: string
  readonly #blocks: readonly ManifestBlock[]
  readonly #cache = new Map<number, Promise<Buffer>>()
  #packs = new PackTable()
  #totals: ManifestTotals | undefined
  #backupId: string | undefined

  private constructor(object: ObjectReader, name: string, blocks: readonly ManifestBlock[]) {
    this.#object = object
    this.#name = name
    this.#blocks = blocks
  }

  /**
   * Opens the manifest object `name` and reads its block table.
   * @throws {BackstayError} REPOSITORY_DAMAGED when it is missing or its table is damaged.
   */
  static async open(store: Store, name: string): Promise<ManifestReader> {
    const object = await store.open(name)
    if (object === undefined) {
      throw new BackstayError('REPOSITORY_DAMAGED', `Cannot read "${name}": it is missing`)
    }
    try {
      return new ManifestReader(object, name, await readBlockTable(object, name))
    } catch (error) {
      await object[Symbol.asyncDispose]()
      throw error
    }
  }

  /**
   * Id of the backup it was written for, from its beginning.
   * @throws {BackstayError} REPOSITORY_DAMAGED
   */
  async readBackupId(): Promise<string> {
    this.#readHead(await this.#cachedBlock(0))
    return this.#backupId ?? ''
  }

  /** Size of the manifest object. */
  get storedBytes(): number {
    return this.#object.sizeBytes
  }

  /**
   * Id of the backup it was written for. Undefined before a full iteration, as are the next two.
   */
  get backupId(): string | undefined {
    return this.#backupId
  }

  get totals(): ManifestTotals | undefined {
    return this.#totals
  }

  /** Names of all packs it points into. */
  get packs(): readonly string[] {
    return this.#packs.names
  }

  /**
   * All entries in the order written. The checksum of the whole is checked when the last one was
   * taken.
   */
  async *entries(): AsyncIterable<ManifestEntry> {
    for await (const { entry } of this.placedEntries()) yield entry
  }

  /** All entries with their places. @throws {BackstayError} REPOSITORY_DAMAGED */
  async *placedEntries(): AsyncIterable<PlacedEntry> {
    const pass: Pass = { hash: createHash('sha256'), packs: new PackTable(), totals: undefined }
    for (const [number, block] of this.#blocks.entries()) {
      const content = await readBlock(this.#object, this.#name, block)
      const start = number === 0 ? this.#readHead(content) : 0
      yield* this.#entriesOf(new ByteReader(content, start), { number, content, pass })
    }
    if (pass.totals === undefined) throw this.#damaged('it has no end')
    this.#totals = pass.totals
    this.#packs = pass.packs
  }

  /** The entry at a place that `placedEntries` gave. */
  async entryAt(place: EntryPlace): Promise<ManifestEntry> {
    const bytes = new ByteReader(await this.#cachedBlock(place.block), place.offset)
    return decodeEntry(bytes.byte(), bytes, this.#packs)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#object[Symbol.asyncDispose]()
  }

  *#entriesOf(
    bytes: ByteReader,
    at: { number: number; content: Buffer; pass: Pass },
  ): Iterable<PlacedEntry> {
    const { pass, content } = at
    while (!bytes.atEnd) {
      const place = { block: at.number, offset: bytes.position }
      const kind = bytes.byte()
      if (kind === RECORD.end) {
        pass.hash.update(content.subarray(0, place.offset))
        this.#readEnd(bytes, pass)
        return
      }
      if (kind === RECORD.pack) pass.packs.add(bytes.string())
      else yield { entry: decodeEntry(kind, bytes, pass.packs), place }
    }
    pass.hash.update(content)
  }

  #readHead(content: Buffer): number {
    const bytes = new ByteReader(content)
    if (!bytes.bytes(MANIFEST_MAGIC.length).equals(MANIFEST_MAGIC)) {
      throw this.#damaged('it is not a manifest')
    }
    this.#backupId = bytes.string()
    return bytes.position
  }

  #readEnd(bytes: ByteReader, pass: Pass): void {
    const { totals, sha256 } = decodeEnd(bytes)
    if (!pass.hash.digest().equals(sha256)) throw this.#damaged('its checksum is wrong')
    pass.totals = totals
  }

  #cachedBlock(number: number): Promise<Buffer> {
    const known = this.#cache.get(number)
    if (known !== undefined) return known
    const block = this.#blocks[number]
    if (block === undefined) return Promise.reject(this.#damaged(`it has no block ${number}`))
    const content = readBlock(this.#object, this.#name, block)
    this.#makeRoom(block.rawBytes)
    this.#cache.set(number, content)
    return content
  }

  #makeRoom(rawBytes: number): void {
    const bytesOf = (number: number): number => this.#blocks[number]?.rawBytes ?? 0
    let bytes = rawBytes + this.#cache.keys().reduce((sum, number) => sum + bytesOf(number), 0)
    for (const number of this.#cache.keys()) {
      if (this.#cache.size < CACHED_BLOCKS && bytes <= CACHED_BYTES) break
      this.#cache.delete(number)
      bytes -= bytesOf(number)
    }
  }

  #damaged(why: string): BackstayError {
    return new BackstayError('REPOSITORY_DAMAGED', `Cannot read "${this.#name}": ${why}`)
  }
}
