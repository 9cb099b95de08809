/**
 * Where bytes rest: named objects, immutable but for the few that `replace` is for. Every
 * driver passes test/conformance/store.ts. A store knows nothing of backups; names are relative,
 * with `/`, and never begin a part with a dot.
 */

/** What became of a write: `exists` means the name was taken already and nothing was changed. */
export type PutOutcome = 'stored' | 'exists'

/**
 * An object being written piece by piece; invisible under its name until `commit`. One call at a
 * time.
 */
export interface ObjectWriter extends AsyncDisposable {
  /** Bytes written so far: the position of the next byte. */
  readonly position: number
  /** Appends the parts in order. The parts may be reused once the promise settles. */
  write(parts: readonly Uint8Array[]): Promise<void>
  /** Makes what was written durable without naming it, so that `commit` has less to wait for. */
  sync(): Promise<void>
  /**
   * Makes the object durable and visible under its name, unless the name is taken (`exists`: what
   * was written is dropped).
   */
  commit(): Promise<PutOutcome>
  /** Leaving the scope without `commit` drops everything that was written. */
  [Symbol.asyncDispose](): Promise<void>
}

/** An open object. Reads may overlap each other. */
export interface ObjectReader extends AsyncDisposable {
  readonly sizeBytes: number
  /**
   * Fills `target` from `position`.
   * @throws {BackstayError} REPOSITORY_DAMAGED when the object ends before that.
   */
  read(position: number, target: Uint8Array): Promise<void>
}

/** What `sweep` found and removed. */
export interface SweptLeftovers {
  readonly files: number
  readonly bytes: number
}

/** A place for objects. All methods may be called concurrently, from several processes too. */
export interface Store {
  /** For messages: the directory, or the address. */
  readonly location: string
  /** How another thread opens it; undefined where none can. */
  readonly address: StoreAddress | undefined
  /** Writes a whole object: durable and visible when it resolves; never replaces. */
  put(name: string, content: Uint8Array): Promise<PutOutcome>
  /**
   * Writes a whole object in place of the one of that name, if any: at any moment one of the two is
   * there.
   */
  replace(name: string, content: Uint8Array): Promise<void>
  /** Begins an object that is written piece by piece. */
  create(name: string): Promise<ObjectWriter>
  /**
   * The whole content; undefined when there is no such object. For small objects only.
   * @param limitBytes what such an object can have: somebody else may have put something in its
   * place.
   * @throws {BackstayError} REPOSITORY_DAMAGED when it has more.
   */
  get(name: string, limitBytes: number): Promise<Buffer | undefined>
  /** Opens for reading parts; undefined when there is no such object. */
  open(name: string): Promise<ObjectReader | undefined>
  /** Size in bytes; undefined when there is no such object. */
  size(name: string): Promise<number | undefined>
  /**
   * Names of all objects below `folder` (`''` or a path without trailing `/`), sorted within each
   * folder; unfinished objects are not among them. An absent folder has none.
   */
  list(folder: string): AsyncIterable<string>
  /** Names of the objects directly in `folder`, without path, sorted. */
  listObjects(folder: string): Promise<string[]>
  /** Names of the folders directly in `folder`, without path, sorted. */
  listFolders(folder: string): Promise<string[]>
  /**
   * Removes an object durably; false when there was none. Folders left empty go too, when nobody
   * uses them.
   */
  delete(name: string): Promise<boolean>
  /**
   * Removes unfinished objects below `folder` whose writers are dead; those of running writers
   * stay. Those of other hosts, whose writers cannot be seen from here, go when they were not
   * written to for a day.
   */
  sweep(folder: string, nowMs: number): Promise<SweptLeftovers>
}

/** How to open a store from another thread: plain data. */
export type StoreAddress =
  | {
      readonly kind: 'disk'
      /** Absolute path. */
      readonly directory: string
    }
  | {
      readonly kind: 'pipe'
      /** Starts the process that serves it on standard input and output. No shell. */
      readonly command: readonly string[]
    }
