/**
 * WAL as objects of the repository (docs/repository-format.md §8): finished segments, partial segments, history files.
 * It does not judge what is in a segment; who puts it here has done that.
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { formatHistoryName, parseWalFileName } from '../postgres/segment-name.ts'
import type { Store } from '../store/store.ts'
import { bytesBeforeZeros } from '../util/zero-tail.ts'
import { type ClusterNames, PAGE_BYTES, parsePartialName } from './format.ts'
import { compressFrameAsync, decompressFrameAsync, decompressUnknownAsync } from './zstd.ts'

/** `present`: the same content was there already; nothing was written. */
export type WalPutOutcome = 'stored' | 'present'

/** What is held of an unfinished segment. */
export interface WalPartial {
  /** 24 hex digits, without suffix. */
  readonly segment: string
  /** Bytes held from the segment's start; what follows is to be read as zeros. */
  readonly bytes: number
}

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
   * Stores a finished segment; durable when it resolves. `segment`: 24 hex digits; `content`: exactly one segment, must
   * not change until then. Compressed in Node's thread pool.
   * @throws {BackstayError} WAL_CONFLICT when the segment is there with other content, WAL_INVALID for a wrong length.
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

  /** The content of a finished segment; undefined when it is not held. @throws {BackstayError} REPOSITORY_DAMAGED */
  async getSegment(segment: string): Promise<Buffer | undefined> {
    const frame = await this.#store.get(this.#names.walSegment(segment))
    if (frame === undefined) return undefined
    return await decompressFrameAsync(frame, this.#segmentBytes, `WAL segment "${segment}"`)
  }

  async hasSegment(segment: string): Promise<boolean> {
    return (await this.#store.size(this.#names.walSegment(segment))) !== undefined
  }

  /**
   * Stores what there is of an unfinished segment, without the zeros at its end. Does not read or touch a finished one.
   * @throws {BackstayError} WAL_CONFLICT when as many bytes are held already but others.
   */
  async putPartial(segment: string, content: Uint8Array): Promise<WalPutOutcome> {
    const held = content.subarray(0, usedBytes(content))
    return await this.#put(
      this.#names.walPartial(segment, held.byteLength),
      `${segment}.partial`,
      held,
    )
  }

  /** The longest partial of a segment, filled with zeros to a whole segment; undefined when there is none. */
  async getPartial(segment: string): Promise<Buffer | undefined> {
    const partials = await this.listPartials(segment.slice(0, 8))
    const longest = partials.findLast((partial) => partial.segment === segment)
    if (longest === undefined) return undefined
    const frame = await this.#store.get(this.#names.walPartial(segment, longest.bytes))
    if (frame === undefined) return undefined
    const what = `WAL segment "${segment}.partial"`
    const held = await decompressFrameAsync(frame, longest.bytes, what)
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

  /** Stores a timeline's history file. @throws {BackstayError} WAL_CONFLICT when it is there with other content. */
  putHistory(timeline: number, content: Uint8Array): Promise<WalPutOutcome> {
    return this.#put(this.#names.walHistory(timeline), formatHistoryName(timeline), content)
  }

  /** A timeline's history file; undefined when it is not held. */
  async getHistory(timeline: number): Promise<Buffer | undefined> {
    const frame = await this.#store.get(this.#names.walHistory(timeline))
    if (frame === undefined) return undefined
    return await decompressUnknownAsync(frame, `"${formatHistoryName(timeline)}"`)
  }

  /** Stores a backup-history file under the name PostgreSQL archives it by. */
  putBackupHistory(name: string, content: Uint8Array): Promise<WalPutOutcome> {
    return this.#put(this.#names.walBackupHistory(name), name, content)
  }

  /** A backup-history file; undefined when it is not held. */
  async getBackupHistory(name: string): Promise<Buffer | undefined> {
    const frame = await this.#store.get(this.#names.walBackupHistory(name))
    return frame === undefined ? undefined : await decompressUnknownAsync(frame, `"${name}"`)
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

  /** Names (24 hex digits) of the finished segments of a timeline (8 hex digits), in LSN order. Only names are read. */
  async *listSegments(timeline: string): AsyncIterable<string> {
    for await (const name of this.#store.list(`${this.#names.wal}/${timeline}`)) {
      const match = /\/([0-9A-F]{24})\.zst$/.exec(name)
      if (match?.[1] !== undefined) yield match[1]
    }
  }

  /** Deletes a finished segment; false when it was not there. Only retention calls this. */
  deleteSegment(segment: string): Promise<boolean> {
    return this.#store.delete(this.#names.walSegment(segment))
  }

  /** Deletes one partial. */
  deletePartial(partial: WalPartial): Promise<boolean> {
    return this.#store.delete(this.#names.walPartial(partial.segment, partial.bytes))
  }

  async #put(object: string, name: string, content: Uint8Array): Promise<WalPutOutcome> {
    const frame = await compressFrameAsync(content)
    if ((await this.#store.put(object, frame)) === 'stored') return 'stored'
    const held = await this.#store.get(object)
    // Deleted between the two calls: only retention deletes, and it wants it gone.
    if (held === undefined) return 'present'
    if (Buffer.compare(await decompressUnknownAsync(held, `"${name}"`), content) === 0) {
      return 'present'
    }
    throw new BackstayError(
      'WAL_CONFLICT',
      `Cannot store WAL file "${name}": it is in the repository already with other content`,
    )
  }
}

/** Length without the zeros at the end, rounded up to whole pages. */
function usedBytes(content: Uint8Array): number {
  const pages = Math.ceil(bytesBeforeZeros(content) / PAGE_BYTES)
  return Math.min(content.byteLength, pages * PAGE_BYTES)
}
