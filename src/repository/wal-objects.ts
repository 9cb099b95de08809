/**
 * WAL as objects of the repository (docs/repository-format.md §8): finished segments, partial
 * segments, history files. It does not judge what is in a segment; who puts it here has done that.
 */
import { createHash } from 'node:crypto'
import { BackstayError, isBackstayError } from '../errors/backstay-error.ts'
import { formatHistoryName, parseWalFileName } from '../postgres/segment-name.ts'
import { parseTimelineHistory } from '../postgres/timeline.ts'
import type { Store } from '../store/store.ts'
import { bytesBeforeZeros } from '../util/zero-tail.ts'
import {
  type AsideReason,
  type ClusterNames,
  type PartialName,
  parsePartialName,
} from './format.ts'
import {
  compressFrameAsync,
  decompressFrameAsync,
  decompressUnknownAsync,
  frameBound,
} from './codec.ts'

/** No history file and no backup-history file comes near it. */
const WAL_TEXT_BYTES_MAX = 1024 * 1024
const WAL_TEXT_FRAME_MAX = frameBound(WAL_TEXT_BYTES_MAX)

/** Of a zstd frame's content, at its end. */
const CHECKSUM_BYTES = 4

/** `present`: the same content was there already; nothing was written. */
export type WalPutOutcome = 'stored' | 'present'

/**
 * What is held of an unfinished segment: `bytes` from the segment's start; what follows is to be
 * read as zeros.
 */
export type WalPartial = PartialName

/** The WAL of one cluster. All methods may be called concurrently, from several processes too. */
export class WalObjects {
  readonly #store: Store
  readonly #names: ClusterNames
  readonly #segmentBytes: number

  constructor(store: Store, names: ClusterNames, segmentBytes: number) {
    this.#store = store
    this.#names = names
    this.#segmentBytes = segmentBytes
  }

  /**
   * Stores a finished segment; durable when it resolves. `segment`: 24 hex digits; `content`:
   * exactly one segment, must not change until then. Compressed in Node's thread pool.
   * @throws {BackstayError} WAL_CONFLICT when the segment is there with other content, WAL_INVALID
   * for a wrong length.
   */
  async putSegment(segment: string, content: Uint8Array): Promise<WalPutOutcome> {
    if (content.byteLength !== this.#segmentBytes) {
      throw new BackstayError(
        'WAL_INVALID',
        `Cannot store WAL segment "${segment}": it has ${content.byteLength} bytes instead of ${this.#segmentBytes}`,
      )
    }
    return await this.#put(this.#names.walSegment(segment), segment, content)
  }

  /**
   * The content of a finished segment; undefined when it is not held.
   * @throws {BackstayError} REPOSITORY_DAMAGED
   */
  async getSegment(segment: string): Promise<Buffer | undefined> {
    const frame = await this.#store.get(
      this.#names.walSegment(segment),
      frameBound(this.#segmentBytes),
    )
    if (frame === undefined) return undefined
    return await decompressFrameAsync(frame, this.#segmentBytes, `WAL segment "${segment}"`)
  }

  /**
   * What ends the object of a finished segment: the checksum that zstd keeps of its content.
   * Undefined when it is not held. Reads four bytes.
   */
  async segmentChecksum(segment: string): Promise<number | undefined> {
    await using object = await this.#store.open(this.#names.walSegment(segment))
    if (object === undefined || object.sizeBytes < CHECKSUM_BYTES) return undefined
    const checksum = Buffer.alloc(CHECKSUM_BYTES)
    await object.read(object.sizeBytes - CHECKSUM_BYTES, checksum)
    return checksum.readUInt32LE(0)
  }

  async hasSegment(segment: string): Promise<boolean> {
    return (await this.#store.size(this.#names.walSegment(segment))) !== undefined
  }

  /**
   * Stores what there is of an unfinished segment, without the zeros at its end. Does not read or
   * touch a finished one, and never conflicts: other content has another name.
   */
  async putPartial(segment: string, content: Uint8Array): Promise<WalPutOutcome> {
    const held = bytesOf(content)
    const fingerprint = fingerprintOf(held)
    const object = this.#names.walPartial({ segment, bytes: held.byteLength, fingerprint })
    return await this.#put(object, `${segment}.partial`, held)
  }

  /**
   * The longest partial of a segment that can be read, filled with zeros to a whole segment;
   * undefined when there is none.
   * @throws {BackstayError} REPOSITORY_DAMAGED when there are some and none can be read.
   */
  async getPartial(segment: string): Promise<Buffer | undefined> {
    const beside = await this.#store.listObjects(this.#names.walPartials(segment))
    const longestFirst = beside
      .flatMap((name) => parsePartialName(name) ?? [])
      .filter((partial) => partial.segment === segment)
      .sort((a, b) => b.bytes - a.bytes)
    let damage: BackstayError | undefined
    for (const partial of longestFirst) {
      try {
        const content = await this.#readPartial(partial)
        if (content !== undefined) return content
      } catch (error) {
        if (!isBackstayError(error, 'REPOSITORY_DAMAGED')) throw error
        damage = error
      }
    }
    if (damage !== undefined) throw damage
    return undefined
  }

  async #readPartial(partial: WalPartial): Promise<Buffer | undefined> {
    const { segment, bytes, fingerprint } = partial
    const frame = await this.#store.get(
      this.#names.walPartial(partial),
      frameBound(this.#segmentBytes),
    )
    if (frame === undefined) return undefined
    const what = `WAL segment "${segment}.partial"`
    const held = await decompressFrameAsync(frame, bytes, what)
    if (fingerprint !== undefined && fingerprintOf(held) !== fingerprint) {
      throw new BackstayError('REPOSITORY_DAMAGED', `Cannot use ${what}: its content is another`)
    }
    return Buffer.concat([held, Buffer.alloc(this.#segmentBytes - held.byteLength)])
  }

  /** All partials of a timeline (8 hex digits), by segment, then by length. */
  async listPartials(timeline: string): Promise<WalPartial[]> {
    const partials: WalPartial[] = []
    for await (const name of this.#store.list(`${this.#names.wal}/${timeline}`)) {
      const partial = parsePartialName(name)
      if (partial !== undefined) partials.push(partial)
    }
    return partials
  }

  /**
   * Stores a timeline's history file. One that is there and cannot be used is kept under another
   * name, and this one takes its place.
   * @throws {BackstayError} WAL_CONFLICT when it is there with other content.
   */
  async putHistory(timeline: number, content: Uint8Array): Promise<WalPutOutcome | 'replaced'> {
    const name = formatHistoryName(timeline)
    const object = this.#names.walHistory(timeline)
    try {
      return await this.#put(object, name, content)
    } catch (error) {
      const isHeld =
        isBackstayError(error, 'WAL_CONFLICT') || isBackstayError(error, 'REPOSITORY_DAMAGED')
      if (!isHeld || !(await this.#isDamagedHistory(timeline))) throw error
      await this.#keepAside(name, object, 'damaged')
      // At no moment is it not held: whoever asks then would take the timeline for free.
      await this.#store.replace(object, await compressFrameAsync(content))
      return 'replaced'
    }
  }

  async #isDamagedHistory(timeline: number): Promise<boolean> {
    try {
      const held = await this.getHistory(timeline)
      return held !== undefined && parseTimelineHistory(timeline, held.toString()) === undefined
    } catch (error) {
      if (!isBackstayError(error, 'REPOSITORY_DAMAGED')) throw error
      return true
    }
  }

  /** A timeline's history file; undefined when it is not held. */
  async getHistory(timeline: number): Promise<Buffer | undefined> {
    const frame = await this.#store.get(this.#names.walHistory(timeline), WAL_TEXT_FRAME_MAX)
    if (frame === undefined) return undefined
    return await decompressUnknownAsync(
      frame,
      `"${formatHistoryName(timeline)}"`,
      WAL_TEXT_BYTES_MAX,
    )
  }

  /** Stores a backup-history file under the name PostgreSQL archives it by. */
  putBackupHistory(name: string, content: Uint8Array): Promise<WalPutOutcome> {
    return this.#put(this.#names.walBackupHistory(name), name, content)
  }

  /** A backup-history file; undefined when it is not held. */
  async getBackupHistory(name: string): Promise<Buffer | undefined> {
    const frame = await this.#store.get(this.#names.walBackupHistory(name), WAL_TEXT_FRAME_MAX)
    if (frame === undefined) return undefined
    return await decompressUnknownAsync(frame, `"${name}"`, WAL_TEXT_BYTES_MAX)
  }

  /**
   * Names of all backup-history files of a timeline (8 hex digits), as PostgreSQL archives them.
   */
  async listBackupHistories(timeline: string): Promise<string[]> {
    const found: string[] = []
    for await (const name of this.#store.list(`${this.#names.wal}/${timeline}`)) {
      const match = /\/([0-9A-F]{24}\.[0-9A-F]{8}\.backup)\.zst$/.exec(name)
      if (match?.[1] !== undefined) found.push(match[1])
    }
    return found
  }

  /** Deletes one. Only retention calls this. */
  deleteBackupHistory(name: string): Promise<boolean> {
    return this.#store.delete(this.#names.walBackupHistory(name))
  }

  /** Timelines with a history file, ascending. */
  async listHistories(): Promise<number[]> {
    const timelines: number[] = []
    for (const name of await this.#store.listObjects(this.#names.wal)) {
      const file = parseWalFileName(name.replace(/\.zst$/, ''))
      if (file?.kind === 'history') timelines.push(file.timeline)
    }
    return timelines
  }

  /** Timelines with segments or partials, as 8 hex digits, ascending. */
  listTimelines(): Promise<string[]> {
    return this.#store.listFolders(this.#names.wal)
  }

  /**
   * Names (24 hex digits) of the finished segments of a timeline (8 hex digits), in LSN order. Only
   * names are read.
   */
  async *listSegments(timeline: string): AsyncIterable<string> {
    for await (const name of this.#store.list(`${this.#names.wal}/${timeline}`)) {
      const match = /\/([0-9A-F]{24})\.zst$/.exec(name)
      if (match?.[1] !== undefined) yield match[1]
    }
  }

  /** Deletes a finished segment; false when it was not there. Only retention calls this. */
  async deleteSegment(segment: string): Promise<boolean> {
    const isGone = await this.#store.delete(this.#names.walSegment(segment))
    await this.#store.delete(this.#names.walPushed(segment))
    await this.#store.delete(this.#names.walBlocks(segment))
    return isGone
  }

  /**
   * Makes room for the true content of a segment or history file: what is there is kept under
   * another name. Dying in between costs nothing: the object is then there under both names. `note`
   * is told the other name before the object goes.
   */
  async setAside(
    file: string,
    why: AsideReason,
    note?: (keptAs: string) => Promise<void>,
  ): Promise<void> {
    const timeline = parseWalFileName(file)?.timeline ?? 0
    const isHistory = file.endsWith('.history')
    const name = isHistory ? this.#names.walHistory(timeline) : this.#names.walSegment(file)
    const keptAs = await this.#keepAside(file, name, why)
    if (keptAs === undefined) return
    await note?.(keptAs)
    if (!isHistory) await this.#store.delete(this.#names.walBlocks(file))
    await this.#store.delete(name)
  }

  /**
   * Copies what is at `object` to the name that it is kept under, which is returned; undefined when
   * nothing is there.
   */
  async #keepAside(file: string, object: string, why: AsideReason): Promise<string | undefined> {
    const limitBytes = frameBound(walBytesMax(file, this.#segmentBytes))
    const held = await this.#store.get(object, limitBytes)
    if (held === undefined) return undefined
    const keptAs = this.#names.walAside(file, why, fingerprintOf(held))
    await this.#store.put(keptAs, held)
    return keptAs
  }

  /** Deletes one partial. */
  deletePartial(partial: WalPartial): Promise<boolean> {
    return this.#store.delete(this.#names.walPartial(partial))
  }

  async #put(object: string, name: string, content: Uint8Array): Promise<WalPutOutcome> {
    const frame = await compressFrameAsync(content)
    if ((await this.#store.put(object, frame)) === 'stored') return 'stored'
    const limitBytes = walBytesMax(name, this.#segmentBytes)
    const held = await this.#store.get(object, frameBound(limitBytes))
    // Deleted between the two calls: only retention deletes, and it wants it gone.
    if (held === undefined) return 'present'
    if (
      Buffer.compare(await decompressUnknownAsync(held, `"${name}"`, limitBytes), content) === 0
    ) {
      return 'present'
    }
    throw new BackstayError(
      'WAL_CONFLICT',
      `Cannot store WAL file "${name}": it is in the repository already with other content`,
    )
  }
}

/** The most a WAL file of this name can have. */
export function walBytesMax(name: string, segmentBytes: number): number {
  const kind = parseWalFileName(name)?.kind
  return kind === 'segment' || kind === 'partial' ? segmentBytes : WAL_TEXT_BYTES_MAX
}

/** The first 64 bits of the SHA-256, as 16 hex digits. */
function fingerprintOf(content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex').slice(0, 16).toUpperCase()
}

/** Without the zeros at the end. */
function bytesOf(content: Uint8Array): Uint8Array {
  return content.subarray(0, bytesBeforeZeros(content))
}
