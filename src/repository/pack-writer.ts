/**
 * Appends compressed units to packs, and closes a pack when it is full (docs/repository-format.md
 * §7).
 */
import { crc32c } from '@node-rs/crc32'
import { BackstayError } from '../errors/backstay-error.ts'
import type { ObjectWriter, Store } from '../store/store.ts'
import type { Clock } from '../util/clock.ts'
import type { BackupId } from './backup-info.ts'
import {
  type ClusterNames,
  FORMAT_VERSION,
  PACK_BYTES,
  PACK_RAW_BYTES,
  packName,
} from './format.ts'
import { skippableFrame } from './codec.ts'

/**
 * What is written gets synced in the background in steps of this many bytes, so that little is left
 * for the end.
 */
const SYNC_BYTES = 64 * 1024 * 1024

/** A pack that is complete and durable in the store. */
export interface WrittenPack {
  readonly name: string
  readonly storedBytes: number
  /** Sum of its units before compression. */
  readonly rawBytes: number
  /** CRC-32C of the whole object. */
  readonly crc32c: number
}

/** A unit's frame and how long its content is. The frame may be reused once `append` settles. */
export interface CompressedUnit {
  readonly frame: Uint8Array
  readonly rawBytes: number
}

/** Where a unit came to lie. */
export interface UnitPlace {
  readonly pack: string
  readonly offset: number
}

/** For whom packs are written. */
export interface PackWriterOptions {
  readonly store: Store
  readonly names: ClusterNames
  /** The folder's name, for the pack's head. */
  readonly cluster: string
  readonly id: BackupId
  /** Default 1 GiB. */
  readonly packBytes?: number
  /** For whoever goes on where an interrupted backup ended. */
  readonly parts?: PackParts
}

/** Packs that are to be found again should their backup be interrupted. */
export interface PackParts {
  readonly clock: Clock
  /** A pack is closed when it is as old, however little is in it. */
  readonly packMs: number
  /** Called when a pack is durable; must not throw. */
  readonly closed: (pack: WrittenPack) => void
}

interface OpenPack {
  readonly name: string
  readonly object: ObjectWriter
  rawBytes: number
  crc32c: number
  readonly begunAtMs: number
  syncedBytes: number
  syncing: Promise<void> | undefined
}

/**
 * The packs of one backup. One call at a time. Dispose drops the pack that is not finished;
 * finished ones stay.
 */
export class PackWriter implements AsyncDisposable {
  readonly #options: PackWriterOptions
  readonly #written: WrittenPack[] = []
  #open: OpenPack | undefined

  constructor(options: PackWriterOptions) {
    this.#options = options
  }

  /** Appends units in order and says where each lies. */
  async append(units: readonly CompressedUnit[]): Promise<UnitPlace[]> {
    const pack = this.#open ?? (await this.#begin())
    let offset = pack.object.position
    const places = units.map((unit) => {
      const place = { pack: pack.name, offset }
      offset += unit.frame.byteLength
      pack.rawBytes += unit.rawBytes
      pack.crc32c = crc32c(asBuffer(unit.frame), pack.crc32c)
      return place
    })
    await pack.object.write(units.map((unit) => unit.frame))
    this.#syncInBackground(pack)
    if (this.#isFull(pack)) await this.#close(pack)
    return places
  }

  /** Makes everything durable. Returns all packs of the backup. */
  async finish(): Promise<readonly WrittenPack[]> {
    if (this.#open !== undefined) await this.#close(this.#open)
    return this.#written
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const pack = this.#open
    this.#open = undefined
    await pack?.syncing?.catch(() => undefined)
    await pack?.object[Symbol.asyncDispose]()
  }

  async #begin(): Promise<OpenPack> {
    const { store, names, cluster, id } = this.#options
    const name = packName(id, this.#written.length + 1)
    const object = await store.create(names.pack(name))
    const text = JSON.stringify({ format: FORMAT_VERSION, cluster, pack: name })
    const head = skippableFrame(Buffer.from(text))
    const begunAtMs = this.#options.parts?.clock.now() ?? 0
    const crc = crc32c(head)
    const begun = { name, object, rawBytes: 0, crc32c: crc, begunAtMs, syncedBytes: 0 }
    this.#open = { ...begun, syncing: undefined }
    await object.write([head])
    return this.#open
  }

  #isFull({ object, rawBytes, begunAtMs }: OpenPack): boolean {
    const { packBytes = PACK_BYTES, parts } = this.#options
    if (object.position >= packBytes || rawBytes >= PACK_RAW_BYTES) return true
    return parts !== undefined && parts.clock.now() - begunAtMs >= parts.packMs
  }

  async #close(pack: OpenPack): Promise<void> {
    await pack.syncing
    const storedBytes = pack.object.position
    const outcome = await pack.object.commit()
    this.#open = undefined
    if (outcome === 'exists') {
      throw new BackstayError('BUG', `Cannot write pack "${pack.name}": it exists already`)
    }
    const { name, rawBytes } = pack
    const written = { name, storedBytes, rawBytes, crc32c: pack.crc32c }
    this.#written.push(written)
    this.#options.parts?.closed(written)
  }

  #syncInBackground(pack: OpenPack): void {
    if (pack.syncing !== undefined || pack.object.position - pack.syncedBytes < SYNC_BYTES) return
    pack.syncedBytes = pack.object.position
    pack.syncing = syncOnce(pack)
    // A failed sync must fail the backup: the rejected promise stays for `#close` to find.
    pack.syncing.catch(() => undefined)
  }
}

async function syncOnce(pack: OpenPack): Promise<void> {
  await pack.object.sync()
  pack.syncing = undefined
}

function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}
