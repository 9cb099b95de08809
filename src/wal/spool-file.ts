/**
 * One segment's file in the spool: opened under a temporary name, written at exact offsets, named
 * and synced in steps that `SpoolWriter` puts in order. Writing goes to the page cache and is
 * synchronous; syncing runs on libuv's pool.
 *
 * Files are filled with zeros before use where there is time for it: fdatasync of bytes inside a
 * file's length has no length to journal and takes about two thirds of the time that growing the
 * file does (ext4: 110 µs against 160).
 */
import {
  close,
  constants,
  existsSync,
  fdatasync,
  fdatasyncSync,
  openSync,
  rename,
  renameSync,
  writeSync,
} from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Lsn } from '../postgres/lsn.ts'
import { type Segment, segmentStart } from '../postgres/segment-name.ts'
import { syncDirectory } from '../util/sync-directory.ts'
import { SPARE_NAME, spoolFileName, TEMPORARY_PREFIX } from './spool-names.ts'

const closeFile = promisify(close)
const renameFile = promisify(rename)
const syncFile = promisify(fdatasync)

/** Most that is filled with zeros ahead of need; a larger segment grows beyond it. */
const ZEROED_BYTES_MAX = 64 * 1024 * 1024
const ZERO_BLOCK_BYTES = 1024 * 1024

/** Where a spool lies and how large its segments are. */
export interface SpoolPlace {
  readonly directory: string
  readonly segmentBytes: number
}

/**
 * An open segment file. One call at a time, except that `write` may run while `sync` is under way.
 */
export class SpoolFile {
  readonly segment: Segment
  readonly startLsn: Lsn
  readonly endLsn: Lsn
  readonly #place: SpoolPlace
  readonly #descriptor: number
  #path: string
  #isNamed: boolean

  private constructor(place: SpoolPlace, segment: Segment, file: OpenedFile) {
    this.segment = segment
    this.startLsn = segmentStart(segment, place.segmentBytes)
    this.endLsn = (this.startLsn + BigInt(place.segmentBytes)) as Lsn
    this.#place = place
    this.#descriptor = file.descriptor
    this.#path = file.path
    this.#isNamed = file.isNamed
  }

  /** Whether a segment has a file in the spool. */
  static isThere(place: SpoolPlace, segment: Segment): boolean {
    return existsSync(pathOf(place, segment))
  }

  /** Opens the file of a segment that is in the spool already. */
  static reopen(place: SpoolPlace, segment: Segment): SpoolFile {
    const path = pathOf(place, segment)
    return new SpoolFile(place, segment, {
      path,
      descriptor: openSync(path, constants.O_RDWR),
      isNamed: true,
    })
  }

  /**
   * Opens a file for a new segment under a temporary name: the spare file when there is one, else
   * an empty one.
   */
  static create(place: SpoolPlace, segment: Segment, hasSpare: boolean): SpoolFile {
    const name = spoolFileName(segment, place.segmentBytes)
    const path = join(place.directory, `${TEMPORARY_PREFIX}${name}`)
    if (hasSpare) renameSync(join(place.directory, SPARE_NAME), path)
    const flags = hasSpare
      ? constants.O_RDWR
      : constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC
    return new SpoolFile(place, segment, {
      path,
      descriptor: openSync(path, flags, 0o600),
      isNamed: false,
    })
  }

  /** Whether it has its name in the spool. */
  get isNamed(): boolean {
    return this.#isNamed
  }

  get path(): string {
    return this.#path
  }

  /** Writes to the page cache at the place of `lsn`; `bytes` must not reach beyond the segment. */
  write(lsn: Lsn, bytes: Uint8Array): void {
    const offset = Number(lsn - this.startLsn)
    for (let done = 0; done < bytes.length;) {
      done += writeSync(this.#descriptor, bytes, done, bytes.length - done, offset + done)
    }
  }

  /** Gives the file its name in the spool and makes the name durable; nothing when it has it. */
  async publish(): Promise<void> {
    if (this.#isNamed) return
    const path = pathOf(this.#place, this.segment)
    await renameFile(this.#path, path)
    this.#path = path
    await syncDirectory(this.#place.directory)
    this.#isNamed = true
  }

  /** Makes everything written before the call durable, not the file's name. */
  async sync(): Promise<void> {
    await syncFile(this.#descriptor)
  }

  /** `sync` in the calling thread. */
  syncNow(): void {
    fdatasyncSync(this.#descriptor)
  }

  async close(): Promise<void> {
    await closeFile(this.#descriptor)
  }
}

interface OpenedFile {
  readonly path: string
  readonly descriptor: number
  readonly isNamed: boolean
}

function pathOf(place: SpoolPlace, segment: Segment): string {
  return join(place.directory, spoolFileName(segment, place.segmentBytes))
}

/**
 * Makes the spare file: zeros, synced block by block, so that no commit's sync has to wait for more
 * than one of them. Leaves nothing when it fails.
 */
export async function prepareSpare(place: SpoolPlace): Promise<void> {
  const path = join(place.directory, SPARE_NAME)
  const zeros = Buffer.alloc(ZERO_BLOCK_BYTES)
  try {
    await using file = await open(path, 'w', 0o600)
    const end = Math.min(place.segmentBytes, ZEROED_BYTES_MAX)
    for (let at = 0; at < end; at += zeros.length) {
      await file.write(zeros, 0, zeros.length, at)
      await file.datasync()
    }
    await file.sync()
  } catch (error) {
    await rm(path, { force: true })
    throw error
  }
}
