/**
 * What the main thread asks of a worker about one slot, and what it answers. Plain data that
 * crosses threads.
 */

/** Pages in a slot that follow each other in their relation. */
export interface PageRun {
  /** From the slot's start. */
  readonly offset: number
  readonly pageCount: number
  /** Of the first page in its relation, counted through all segment files. */
  readonly firstBlock: number
}

/** A stretch of a file that the worker itself reads into its slot. */
export interface SlotRead {
  /** For errors. */
  readonly path: string
  /** A descriptor of this process. */
  readonly descriptor: number
  /** In the file. What lies behind its end is taken for zeros. */
  readonly position: number
  /** From the slot's start. */
  readonly offset: number
  readonly length: number
}

/** A stretch of a slot. */
export interface SlotStretch {
  readonly offset: number
  readonly length: number
  /** It consists of pages: each one's CRC is wanted as well. */
  readonly paged: boolean
}

/**
 * Work on one slot. Everything asked for is done in one go while the bytes are in the processor's
 * cache.
 */
export interface UnitJob {
  readonly slot: number
  readonly rawBytes: number
  /** What is not there yet. */
  readonly reads: readonly SlotRead[]
  /** Compress the slot's content into the slot's output area. */
  readonly compress: boolean
  /** Pages whose checksum is judged. */
  readonly pages: readonly PageRun[]
  /**
   * Pages changed at or after it are not judged: they may be torn, and WAL replay writes them anew.
   */
  readonly limitLsn: bigint
  /** Stretches whose CRC-32C is wanted. */
  readonly crcs: readonly SlotStretch[]
  /**
   * Say which pages of the slot, taken as one run of pages, were changed at or after this;
   * undefined: do not ask.
   */
  readonly changedSince: bigint | undefined
}

/** What came out of a job that did not fail; arrays are in the order of what was asked. */
export interface UnitResult {
  readonly slot: number
  /** Bytes in the output area; 0 when compression was not asked for. */
  readonly storedBytes: number
  /** For each run of `pages`, the block numbers with a wrong checksum. */
  readonly badBlocks: readonly (readonly number[])[]
  readonly crcs: readonly number[]
  /** For each stretch of `crcs` the CRCs of its pages; undefined when it is not paged. */
  readonly pageCrcs: readonly (Uint32Array | undefined)[]
  /** Bit n % 8 of byte n / 8 stands for page n of the slot. */
  readonly changed: Uint8Array | undefined
}

/** A worker's answer: a result, or why there is none; `unreadable`: for no fault of the worker's. */
export type WorkerAnswer =
  | UnitResult
  | { readonly slot: number; readonly failure: string; readonly unreadable: boolean }
