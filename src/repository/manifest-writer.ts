/**
 * Writes a manifest entry by entry with one block in memory.
 */
import { createHash } from 'node:crypto'
import { BackstayError } from '../errors/backstay-error.ts'
import { bytesOfPath } from '../util/byte-path.ts'
import type { ObjectWriter, Store } from '../store/store.ts'
import type { BackupId } from './backup-info.ts'
import type { ClusterNames } from './format.ts'
import { encodeBlockTable, type ManifestBlock, RAW_BYTES_MAX } from './manifest-blocks.ts'
import type { ManifestEntry, ManifestTotals } from './manifest-entry.ts'
import {
  encodeEnd,
  encodeEntry,
  MANIFEST_MAGIC,
  PackTable,
  PIECES_MAX,
} from './manifest-records.ts'
import { ByteWriter } from './record-bytes.ts'
import { PathSet } from './path-set.ts'
import { compressFrameAsync } from './codec.ts'

/** A block is closed once it holds this much. */
const BLOCK_BYTES = 64 * 1024

/** What was written, for backup.json. */
export interface WrittenManifest {
  readonly totals: ManifestTotals
  readonly storedBytes: number
  /** Of the object as stored, hex. */
  readonly sha256: string
}

/** A manifest being written. Call `add` one at a time, then `finish`. */
export class ManifestWriter implements AsyncDisposable {
  readonly #object: ObjectWriter
  readonly #bytes = new ByteWriter()
  readonly #packs = new PackTable()
  readonly #paths = new PathSet()
  readonly #contentHash = createHash('sha256')
  readonly #storedHash = createHash('sha256')
  readonly #blocks: ManifestBlock[] = []
  readonly #totals = { files: 0, directories: 0, links: 0, bytes: 0 }

  private constructor(object: ObjectWriter, id: BackupId) {
    this.#object = object
    this.#bytes.bytes(MANIFEST_MAGIC)
    this.#bytes.string(id)
  }

  /** Begins the manifest of backup `id`. */
  static async create(
    store: Store,
    names: Pick<ClusterNames, 'manifest'>,
    id: BackupId,
  ): Promise<ManifestWriter> {
    return new ManifestWriter(await store.create(names.manifest(id)), id)
  }

  /**
   * Appends an entry. A directory must come before what is in it.
   * @throws {BackstayError} POSTGRES_PROTOCOL for a path that was there already; FAILED for a file
   * of more pieces than readers take.
   */
  async add(entry: ManifestEntry): Promise<void> {
    if (!this.#paths.add(bytesOfPath(entry.path))) {
      throw new BackstayError('POSTGRES_PROTOCOL', `Cannot store "${entry.path}": it came twice`)
    }
    if (entry.kind === 'file' && entry.extents.length > PIECES_MAX) throw tooManyPieces(entry.path)
    encodeEntry(entry, this.#packs, this.#bytes)
    if (this.#bytes.length > RAW_BYTES_MAX) throw tooManyPieces(entry.path)
    this.#count(entry)
    if (this.#bytes.length >= BLOCK_BYTES) await this.#closeBlock()
  }

  /** Ends the manifest and makes it durable. */
  async finish(): Promise<WrittenManifest> {
    const sha256 = this.#contentHash.update(this.#bytes.view()).digest()
    encodeEnd(this.#totals, sha256, this.#bytes)
    await this.#writeBlock()
    await this.#append(encodeBlockTable(this.#blocks))
    const storedBytes = this.#object.position
    await this.#object.commit()
    return { totals: this.#totals, storedBytes, sha256: this.#storedHash.digest('hex') }
  }

  /** Leaving the scope without `finish` drops it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#object[Symbol.asyncDispose]()
  }

  async #closeBlock(): Promise<void> {
    this.#contentHash.update(this.#bytes.view())
    await this.#writeBlock()
  }

  async #writeBlock(): Promise<void> {
    const rawBytes = this.#bytes.length
    const frame = await compressFrameAsync(this.#bytes.view())
    this.#blocks.push({ offset: this.#object.position, storedBytes: frame.byteLength, rawBytes })
    await this.#append(frame)
    this.#bytes.clear()
  }

  async #append(content: Buffer): Promise<void> {
    this.#storedHash.update(content)
    await this.#object.write([content])
  }

  #count(entry: ManifestEntry): void {
    if (entry.kind === 'directory') this.#totals.directories += 1
    else if (entry.kind === 'link') this.#totals.links += 1
    else {
      this.#totals.files += 1
      this.#totals.bytes += entry.sizeBytes
    }
  }
}

function tooManyPieces(path: string): BackstayError {
  return new BackstayError(
    'FAILED',
    `Cannot store "${path}": its pages lie in more pieces of older backups than a manifest can say`,
    { hint: 'Take a full backup (backstay backup --full): it has each file in few pieces.' },
  )
}
