/**
 * A host: a machine on which commands run and files lie. Drivers: `local-host.ts`, `ssh-host.ts`.
 * Every driver passes test/conformance/host.ts. Nothing but a POSIX shell, the usual small tools
 * and PostgreSQL is expected on the machine.
 */

import type { Writable } from 'node:stream'

/** How a command is run. */
export interface HostCommandOptions {
  /** OS user to run as; the driver's own user when left out. */
  readonly user?: string
  /** Working directory. Default `/`, which every user may be in. */
  readonly directory?: string
  /**
   * Added to a clean environment (PATH, HOME, USER, LOGNAME, LANG=C.UTF-8); nothing is inherited.
   */
  readonly environment?: Readonly<Record<string, string>>
  /**
   * Written to standard input, which is closed after it; the way for secrets (never argv). A
   * function writes what it likes as long as it likes, and ends the stream; one that does not holds
   * the command's input open until the command ends.
   */
  readonly input?: string | Uint8Array | ((stdin: Writable) => void)
  /** Sees standard output as it comes, in pieces cut anywhere. */
  readonly onStdout?: (chunk: Buffer) => void
  /**
   * The command and its process group are ended (TERM, then KILL) after this, and TIMEOUT is
   * thrown. Default 60 s.
   */
  readonly timeoutMs?: number
  /** Ends the command the same way when it aborts; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

/** What a command left. Output is cut to the last 1 MiB each. */
export interface HostCommandResult {
  /** 128 + n when signal n ended it, as shells count. */
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
  /** Name of the OS user, or its number when it has no name. */
  readonly owner: string
  readonly modifiedAtMs: number
  /** Device, number and birth: something else in the same place has another. */
  readonly identity: string
  /** What a link says; undefined for everything else. */
  readonly target: string | undefined
}

/**
 * Mode and owner given to what is written. Where left out, what is replaced keeps its own;
 * something new gets 0600 (files) or 0700 (directories) and the driver's own user. As root a driver
 * works on files below a directory of another user as that user: something new is his then, and
 * nobody else can be given it.
 */
export interface Ownership {
  readonly mode?: number
  readonly owner?: string
  /**
   * The OS user whose primary group it gets, where that is another than the owner's. Only of files.
   */
  readonly groupOf?: string
}

/**
 * One machine. Methods throw BackstayError: HOST_UNREACHABLE, HOST_COMMAND, HOST_PRIVILEGE,
 * DISK_SPACE. They may be called concurrently.
 */
export interface Host {
  /** What people call it: in messages, plans and JSON. */
  readonly name: string
  /** The OS user commands run as by default. */
  readonly user: string

  /**
   * Runs `command` (no shell) and returns whatever exit code it ended with.
   * @throws HOST_COMMAND when it cannot be started.
   */
  run(command: readonly string[], options?: HostCommandOptions): Promise<HostCommandResult>
  /**
   * The content, or undefined when there is no such file. Others may have written it: of one that
   * is longer than `limitBytes` (16 MB when left out) no more than that is read. @throws FAILED
   * then.
   */
  readFile(path: string, limitBytes?: number): Promise<Buffer | undefined>
  /**
   * Replaces the file whole: temporary file beside it, fsync, rename, fsync of the directory. A
   * link is replaced, not followed.
   */
  writeFile(path: string, content: string | Uint8Array, ownership?: Ownership): Promise<void>
  /**
   * Makes the directory and its missing parents (0755); gives the last one mode and owner, also
   * when it was there.
   */
  makeDirectory(path: string, ownership?: Ownership): Promise<void>
  /** Removes a file, link or whole tree, durably; no error when it is not there. */
  remove(path: string): Promise<void>
  /** Renames durably; a file at `to` is replaced, a directory that is not empty is refused. */
  rename(from: string, to: string): Promise<void>
  /** Not followed when it is a link; undefined when there is nothing. */
  inspect(path: string): Promise<PathInfo | undefined>
  /** Names in a directory, sorted; undefined when there is no such directory. */
  list(path: string): Promise<readonly string[] | undefined>
  /**
   * Free bytes for an ordinary user on the file system that holds `path` (or its nearest existing
   * parent).
   */
  freeBytes(path: string): Promise<number>
  /**
   * Makes a Unix socket of that machine reachable from here and returns the path to connect to,
   * which has the same base name. Nobody need listen on it yet. Cheap to call again, which also
   * mends a way that was lost.
   */
  reachSocket(path: string): Promise<string>
  /**
   * Makes a TCP address as that machine sees it reachable from here through a Unix socket called
   * `.s.PGSQL.<port>`, and returns its path. As `reachSocket` otherwise.
   */
  reachPort(address: string, port: number): Promise<string>
  /**
   * Opens a writer that fills `directory` (made if missing) as `owner`, for clones, restores and
   * packages.
   */
  openTree(directory: string, options: TreeOptions): Promise<TreeWriter>
  close(): Promise<void>
}

/** How a tree is written. */
export interface TreeOptions {
  readonly owner?: string
  /**
   * For what compresses well on a way that may be slow: where there is a way to go, it goes
   * compressed.
   */
  readonly isCompressed?: boolean
}

/** What is known of a file before its first byte. */
export interface TreeFileAttributes {
  readonly mode: number
  /** Exactly this many bytes follow; `endFile` refuses anything else. */
  readonly sizeBytes: number
  readonly modifiedAtMs?: number
}

/**
 * Writes a tree of files in the order they come: one file open at a time. Nothing is durable until
 * `sync` resolved. Paths are relative to the directory, without `..`; a path that leaves it, by a
 * link too, is refused (FAILED), and so is a file that is there already. Missing parents are made
 * with mode 0700. Calls must not overlap.
 */
export interface TreeWriter {
  /** Makes a directory, or gives one that is there mode and owner. */
  makeDirectory(path: string, mode: number): Promise<void>
  /**
   * Makes a symbolic link, whatever its target says; nothing can be written through one that leaves
   * the tree.
   */
  makeLink(path: string, target: string): Promise<void>
  beginFile(path: string, attributes: TreeFileAttributes): Promise<void>
  /** The view is free for reuse when the promise resolved (or at once when it returned nothing). */
  write(chunk: Uint8Array): void | Promise<void>
  endFile(): Promise<void>
  /** Makes all that was written durable: data, directories, the tree's own entry. */
  sync(): Promise<void>
  /**
   * Ends it; without a `sync` before, what was written stays where it is and may not be durable.
   */
  close(): Promise<void>
}
