/**
 * Writes finished files into the manifest in the order they finish, and keeps the sums that
 * backup.json needs.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import type { BadPage } from '../../repository/backup-info.ts'
import type { ManifestEntry } from '../../repository/manifest-entry.ts'
import type { ManifestWriter, WrittenManifest } from '../../repository/manifest-writer.ts'
import type { PageCrcWriter } from '../../repository/page-crc-object.ts'
import type { RecordedFile } from './file-record.ts'

/** Entries that may wait for being written before the stream is held back. */
const BACKLOG_MAX = 1000

/** backup.json holds this many bad pages. */
const LISTED_BAD_PAGES = 1000

/** What is known once everything is written. */
export interface FedManifest {
  readonly manifest: WrittenManifest
  /** Size of the object that holds the CRCs of pages. */
  readonly pageCrcBytes: number
  /** Bytes needed of each pack, by pack name. */
  readonly liveBytes: ReadonlyMap<string, number>
  readonly badPages: { readonly count: number; readonly list: readonly BadPage[] }
}

/**
 * `add` and `file` may be called any time; `ready` holds back who produces faster than is written.
 */
export class ManifestFeed {
  readonly #writer: ManifestWriter
  readonly #pageCrcs: PageCrcWriter
  readonly #liveBytes = new Map<string, number>()
  readonly #badPages: BadPage[] = []
  #badCount = 0
  #tail: Promise<void> = Promise.resolve()
  #backlog = 0

  /** Both stay the caller's. */
  constructor(writer: ManifestWriter, pageCrcs: PageCrcWriter) {
    this.#writer = writer
    this.#pageCrcs = pageCrcs
  }

  add(entry: ManifestEntry): void {
    this.#then(() => this.#writer.add(entry))
  }

  file(recorded: RecordedFile): void {
    const { file, badBlocks, pageCrcs, problem } = recorded
    for (const { unit, length } of file.extents) {
      if (unit === undefined) continue
      this.#liveBytes.set(unit.pack, (this.#liveBytes.get(unit.pack) ?? 0) + length)
    }
    this.#badCount += badBlocks.length
    for (const block of badBlocks.slice(0, LISTED_BAD_PAGES - this.#badPages.length)) {
      this.#badPages.push({ path: file.path, block })
    }
    this.#then(async () => {
      if (problem !== undefined)
        throw new BackstayError('REPOSITORY_DAMAGED', `Cannot prove what was received: ${problem}`)
      await this.#writer.add(file)
      await this.#pageCrcs.add(file, pageCrcs)
    })
  }

  /** Undefined while there is room. @throws what writing threw. */
  ready(): Promise<void> | undefined {
    return this.#backlog > BACKLOG_MAX ? this.#tail : undefined
  }

  /** Ends the manifest. */
  async finish(): Promise<FedManifest> {
    await this.#tail
    const pageCrcBytes = await this.#pageCrcs.finish()
    const manifest = await this.#writer.finish()
    const badPages = { count: this.#badCount, list: this.#badPages }
    return { manifest, pageCrcBytes, liveBytes: this.#liveBytes, badPages }
  }

  #then(write: () => Promise<void>): void {
    this.#backlog += 1
    this.#tail = this.#after(this.#tail, write)
    // A failure stays in the chain until `ready` or `finish` meets it.
    this.#tail.catch(() => undefined)
  }

  async #after(before: Promise<void>, write: () => Promise<void>): Promise<void> {
    await before
    await write()
    this.#backlog -= 1
  }
}
