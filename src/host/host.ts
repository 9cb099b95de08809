/**
 * A host: a machine on which commands run and files lie. Drivers: `local-host.ts`, later ssh. Every driver passes
 * test/conformance/host.ts. Nothing but a POSIX shell environment and PostgreSQL is expected on the machine.
 */

/** How a command is run. */
export interface CommandOptions {
  /** OS user to run as; the driver's own user when left out. */
  readonly user?: string
  readonly directory?: string
  /** Added to a clean environment (PATH, HOME, LANG=C.UTF-8); nothing is inherited. */
  readonly environment?: Readonly<Record<string, string>>
  /** Written to standard input, which is closed after it; the way for secrets (never argv). */
  readonly input?: string | Uint8Array
  /** The command is ended (TERM, then KILL) after this. Default 60 s. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/** What a command left. Output is cut to the last 1 MiB each. */
export interface CommandResult {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** What is known of a path. */
export interface PathInfo {
  readonly kind: 'file' | 'directory' | 'link' | 'other'
  readonly sizeBytes: number
  /** Permission bits, e.g. 0o600. */
  readonly mode: number
  readonly owner: string
  readonly modifiedAtMs: number
}

/** Mode and owner given to what is written. */
export interface Ownership {
  readonly mode?: number
  readonly owner?: string
}

/**
 * One machine. Methods throw BackstayError: HOST_UNREACHABLE, HOST_COMMAND, HOST_PRIVILEGE, DISK_SPACE.
 * They may be called concurrently.
 */
export interface Host {
  /** What people call it: in messages, plans and JSON. */
  readonly name: string
  /** The OS user commands run as by default. */
  readonly user: string

  /** Runs `command` (no shell) and returns whatever exit code it ended with. @throws HOST_COMMAND when it cannot be started. */
  run(command: readonly string[], options?: CommandOptions): Promise<CommandResult>
  /** The content, or undefined when there is no such file. */
  readFile(path: string): Promise<Buffer | undefined>
  /** Replaces the file whole: temporary file beside it, fsync, rename, fsync of the directory. */
  writeFile(path: string, content: string | Uint8Array, ownership?: Ownership): Promise<void>
  /** Makes the directory and its missing parents; gives the last one mode and owner. */
  makeDirectory(path: string, ownership?: Ownership): Promise<void>
  /** Removes a file, link or whole tree; no error when it is not there. */
  remove(path: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  /** Not followed when it is a link; undefined when there is nothing. */
  inspect(path: string): Promise<PathInfo | undefined>
  /** Names in a directory, sorted; undefined when there is no such directory. */
  list(path: string): Promise<readonly string[] | undefined>
  /** Free bytes for an ordinary user on the file system that holds `path` (or its nearest existing parent). */
  freeBytes(path: string): Promise<number>
  /** Opens a writer that fills `directory` (made if missing) as `owner`, for clones and restores. */
  openTree(directory: string, options: { readonly owner?: string }): Promise<TreeWriter>
  close(): Promise<void>
}

/**
 * Writes a tree of files in the order they come: one file open at a time. Nothing is durable until `sync` resolved.
 * Paths are relative to the directory, without `..`; a path that would leave it is refused (FAILED).
 */
export interface TreeWriter {
  makeDirectory(path: string, mode: number): Promise<void>
  makeLink(path: string, target: string): Promise<void>
  beginFile(
    path: string,
    attributes: { readonly mode: number; readonly modifiedAtMs?: number },
  ): Promise<void>
  /** The view is free for reuse when the promise resolved (or at once when it returned nothing). */
  write(chunk: Uint8Array): void | Promise<void>
  endFile(): Promise<void>
  /** Makes all that was written durable: data, directories, the tree's own entry. */
  sync(): Promise<void>
  close(): Promise<void>
}
