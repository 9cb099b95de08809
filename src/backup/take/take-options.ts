/**
 * What `takeBackup` is given.
 */
import type { Store } from '../../store/store.ts'
import type { Clock } from '../../util/clock.ts'
import type { ConnectionOptions } from '../../wire/connection-options.ts'
import type { BackupEvent } from '../events.ts'
import type { OpenWalAvailability } from '../wal-availability.ts'

/** Files that are read where they lie, on this machine and by the user whose they are. */
export interface FilesWanted {
  /** The server's data directory. */
  readonly directory: string
  /** Where they cannot be read: stream them and say why, or fail. */
  readonly otherwise: 'stream' | 'fail'
}

/** A backup as it is wanted. */
export interface TakeBackupOptions {
  /** The cluster's name in the repository. */
  readonly cluster: string
  readonly store: Store
  readonly clock: Clock
  /** A role with REPLICATION. */
  readonly connection: ConnectionOptions
  /** The server's name in the cluster file, for the record. */
  readonly server: string | null
  /** `receivedWal` beside a receiver, `fetchedWal(connection)` without one. */
  readonly wal: OpenWalAvailability
  /** Have the files read where they lie. Left out: they are streamed. */
  readonly files?: FilesWanted
  readonly label: string | null
  /** Take everything even where changed pages would do. */
  readonly full: boolean
  /** Default `fast`. */
  readonly checkpoint?: 'fast' | 'spread'
  /** Bytes a second that are sent or read; 32 KiB to 1 GiB. */
  readonly maxRateBytes?: number
  /** zstd level; default 1. */
  readonly level?: number
  /** Compression threads. */
  readonly workers: number
  /** How long to wait for WAL after the last page; default 10 min. */
  readonly walTimeoutMs?: number
  /** `backstay 0.1.0`, for the record. */
  readonly createdBy: string
  readonly signal: AbortSignal
  readonly onEvent: (event: BackupEvent) => void
  /** For tests; default 1 GiB. */
  readonly packBytes?: number
}
