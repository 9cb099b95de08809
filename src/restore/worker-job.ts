/**
 * What the main thread asks of a restore worker, and what it answers. Plain data that crosses
 * threads.
 */
import type { ErrorCode } from '../errors/codes.ts'
import type { Extent } from '../repository/manifest-entry.ts'
import type { StoreAddress } from '../store/store.ts'
import type { HeldRoots } from './held-places.ts'

/** OS user and group by number. */
export interface Owner {
  readonly uid: number
  readonly gid: number
}

/** What every worker is started with. */
export interface FileWorkSettings {
  readonly store: StoreAddress
  readonly cluster: string
  /** Where they write; an undefined owner leaves files to whoever runs Backstay. */
  readonly held: HeldRoots
}

/** A stretch of a file to be written. */
export interface FileJob {
  /** Absolute, below the held directories. */
  readonly path: string
  readonly mode: number
  readonly modifiedAtMs: number
  /** Of the whole file. */
  readonly sizeBytes: number
  /** Where the stretch begins. */
  readonly position: number
  /** Of the stretch, in order, without holes. */
  readonly extents: readonly Extent[]
  /**
   * `create`: the file must not be there · `fill`: it may be there already, begun by another
   * stretch of it · `correct`: it may be there with old content, of which is kept what is right.
   */
  readonly how: 'create' | 'fill' | 'correct'
  /**
   * With `correct`, when the stretch is the whole file: nothing is read from the repository if the
   * file has this CRC already.
   */
  readonly expectedCrc32c: number | undefined
}

/** The CRC of a stretch of a file that is there already is wanted, nothing is written. */
export interface CheckJob {
  readonly how: 'check'
  readonly path: string
  readonly position: number
  readonly length: number
}

/** One thing to do. */
export type WorkerJob = FileJob | CheckJob

/** What came out of one job. */
export interface JobResult {
  /** CRC-32C of the stretch as it is now. */
  readonly crc32c: number
  /** Bytes written; less than the stretch's length when some were right already. */
  readonly writtenBytes: number
}

/** Jobs done one after the other by one worker. */
export interface JobBatch {
  readonly number: number
  readonly jobs: readonly WorkerJob[]
}

/** A worker's answer to a batch: one result a job, or why there is none. */
export type BatchAnswer =
  | { readonly number: number; readonly results: readonly JobResult[] }
  | { readonly number: number; readonly failure: WorkerFailure }

/** An error that crosses threads. `code` is undefined for a bug. */
export interface WorkerFailure {
  readonly code: ErrorCode | undefined
  readonly message: string
  readonly hint: string | undefined
}
