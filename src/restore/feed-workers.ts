/**
 * Feeds the files of a backup to the workers and checks what came out against the manifest's CRCs.
 */
import { lstatSync } from 'node:fs'
import { BackstayError } from '../errors/backstay-error.ts'
import { combineCrc32c } from '../repository/crc32c-combine.ts'
import type { ManifestFile } from '../repository/manifest-entry.ts'
import { filePath } from '../util/byte-path.ts'
import { checksOf, cutFile, lengthOf } from './cut-worker-jobs.ts'
import type { FileJob, JobResult } from './worker-job.ts'
import type { FilePool } from './restore-workers.ts'
import type { HeldPlaces } from './held-places.ts'

/** A batch of small files is sent once it holds this many bytes or files. */
const BATCH_BYTES = 4 * 1024 * 1024
const BATCH_FILES = 64

/** What was done so far. */
export interface WriteProgress {
  readonly files: number
  /** Bytes of the files that are right now. */
  readonly bytes: number
  /** Of these, bytes that were written; the others were right already. */
  readonly writtenBytes: number
}

/** How files are written. */
export interface FileFeedOptions {
  readonly pool: FilePool
  readonly places: HeldPlaces
  /** Bytes that are there and right are kept. */
  readonly isDelta: boolean
  onProgress(progress: WriteProgress): void
}

interface WaitingFile {
  readonly file: ManifestFile
  readonly job: FileJob
}

/**
 * Takes files one after the other. Call `finish` after the last; the first failure is thrown by
 * whatever is called next.
 */
export class FileFeed {
  readonly #options: FileFeedOptions
  readonly #underWay = new Set<Promise<void>>()
  #batch: WaitingFile[] = []
  #batchBytes = 0
  #progress: WriteProgress = { files: 0, bytes: 0, writtenBytes: 0 }

  constructor(options: FileFeedOptions) {
    this.#options = options
  }

  get progress(): WriteProgress {
    return this.#progress
  }

  /**
   * Has `file` written to the absolute `path`. Resolves when the workers can take more, not when it
   * is written.
   */
  async add(file: ManifestFile, path: string): Promise<void> {
    const jobs = cutFile(file, path, this.#options)
    const [first] = jobs
    if (jobs.length > 1 || first === undefined) return await this.#addLarge(file, jobs)
    this.#batch.push({ file, job: first })
    this.#batchBytes += file.sizeBytes
    if (this.#batchBytes >= BATCH_BYTES || this.#batch.length >= BATCH_FILES) await this.#send()
  }

  /**
   * Resolves when all files are written and their CRCs are right.
   * @throws {BackstayError} REPOSITORY_DAMAGED
   */
  async finish(): Promise<WriteProgress> {
    await this.#send()
    await Promise.all(this.#underWay)
    // What failed meanwhile is thrown here.
    await this.#options.pool.room()
    return this.#progress
  }

  async #send(): Promise<void> {
    const batch = this.#batch
    this.#batch = []
    this.#batchBytes = 0
    if (batch.length === 0) return
    await this.#options.pool.room()
    const results = this.#options.pool.run(batch.map(({ job }) => job))
    this.#track(
      results.then((list) => {
        for (const [index, result] of list.entries()) {
          const { file } = batch[index] as WaitingFile
          checkCrc(file, result.crc32c)
          this.#count({ files: 1, bytes: file.sizeBytes, writtenBytes: result.writtenBytes })
        }
      }),
    )
  }

  async #addLarge(file: ManifestFile, jobs: readonly FileJob[]): Promise<void> {
    if (this.#options.isDelta && (await this.#isRightAlready(file, jobs))) {
      return await this.#giveAttributes(file, jobs)
    }
    const results: Promise<JobResult>[] = []
    for (const job of jobs) {
      await this.#options.pool.room()
      results.push(this.#runCounted(job))
    }
    this.#track(
      Promise.all(results).then((list) => {
        checkCrc(file, joinedCrc(jobs, list))
        this.#count({ files: 1, bytes: 0, writtenBytes: 0 })
      }),
    )
  }

  /** Not async: what it returns must not be waited for by whoever passes it on. */
  #runCounted(job: FileJob): Promise<JobResult> {
    const result = this.#options.pool.run([job]).then(([first]) => {
      const { writtenBytes } = first as JobResult
      this.#count({ files: 0, bytes: lengthOf(job), writtenBytes })
      return first as JobResult
    })
    result.catch(() => {})
    return result
  }

  async #isRightAlready(file: ManifestFile, jobs: readonly FileJob[]): Promise<boolean> {
    const path = jobs[0]?.path ?? ''
    const found = lstatSync(filePath(this.#options.places.item(path)), { throwIfNoEntry: false })
    if (file.crc32c === undefined || found?.size !== file.sizeBytes) return false
    const checks: Promise<readonly JobResult[]>[] = []
    for (const check of checksOf(jobs)) {
      await this.#options.pool.room()
      checks.push(this.#options.pool.run([check]))
      checks.at(-1)?.catch(() => {})
    }
    return joinedCrc(jobs, (await Promise.all(checks)).flat()) === file.crc32c
  }

  /** Mode, owner and time of a file whose content stays: a correction of nothing. */
  async #giveAttributes(file: ManifestFile, [first]: readonly FileJob[]): Promise<void> {
    if (first === undefined) return
    await this.#options.pool.room()
    await this.#options.pool.run([{ ...first, extents: [] }])
    this.#count({ files: 1, bytes: file.sizeBytes, writtenBytes: 0 })
  }

  #track(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => this.#options.pool.fail(error))
      .finally(() => this.#underWay.delete(tracked))
    this.#underWay.add(tracked)
  }

  #count(done: WriteProgress): void {
    const { files, bytes, writtenBytes } = this.#progress
    this.#progress = {
      files: files + done.files,
      bytes: bytes + done.bytes,
      writtenBytes: writtenBytes + done.writtenBytes,
    }
    this.#options.onProgress(this.#progress)
  }
}

function joinedCrc(jobs: readonly FileJob[], results: readonly JobResult[]): number {
  return results.reduce(
    (crc, result, index) => combineCrc32c(crc, result.crc32c, lengthOf(jobs[index] as FileJob)),
    0,
  )
}

function checkCrc(file: ManifestFile, crc32c: number): void {
  if (file.crc32c === undefined || file.crc32c === crc32c) return
  throw new BackstayError(
    'REPOSITORY_DAMAGED',
    `Cannot restore "${file.path}": its checksum is ${hex(crc32c)} instead of ${hex(file.crc32c)}`,
  )
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0')
}
