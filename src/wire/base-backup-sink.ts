/**
 * Who receives a base backup: calls come strictly in order, one at a time; a returned promise holds
 * the stream back.
 */
import type { TarEntry } from '../postgres/tar/tar-header.ts'
import type { Lsn } from '../postgres/lsn.ts'

/** A tablespace as BASE_BACKUP announces it; the main data directory has `oid` undefined. */
export interface BaseBackupTablespace {
  readonly oid: number | undefined
  /** Absolute path of the tablespace on the server; undefined for the data directory. */
  readonly location: string | undefined
  /** The server's estimate, only when progress was asked for. */
  readonly sizeBytes: number | undefined
}

/** What the server says before the first byte. */
export interface BaseBackupStart {
  readonly startLsn: Lsn
  readonly timeline: number
  readonly tablespaces: readonly BaseBackupTablespace[]
}

/** What the server says after the last byte. */
export interface BaseBackupEnd {
  readonly endLsn: Lsn
  readonly timeline: number
}

/** One entry of the tar stream; its path is relative to the data directory or to the tablespace. */
export interface BaseBackupEntry extends TarEntry {
  /** Oid of the tablespace whose archive it came in; undefined for the data directory. */
  readonly tablespaceOid: number | undefined
}

/** Receives a base backup file by file. */
export interface BaseBackupSink {
  begin(start: BaseBackupStart): void | Promise<void>
  /**
   * A new entry; for a file, `data` calls with exactly `sizeBytes` bytes and one `endFile` follow.
   */
  entry(entry: BaseBackupEntry): void | Promise<void>
  /**
   * Bytes of the current file: a view into the receive buffer, valid until the call settles. Copy
   * what must live on.
   */
  data(chunk: Uint8Array): void | Promise<void>
  endFile(): void | Promise<void>
  /**
   * A piece of backup_manifest (13+, when asked for), after all entries. Same ownership as `data`.
   */
  manifest(chunk: Uint8Array): void | Promise<void>
  end(end: BaseBackupEnd): void | Promise<void>
}
