/**
 * What a running server says of itself over SQL. Plain data; LSNs as values.
 */
import type { Lsn } from '../postgres/lsn.ts'

/** One server's answers, all from one connection within one second or so. */
export interface SqlFound {
  /** `server_version_num`. */
  readonly versionNumber: number
  /** For example `15.18 (Debian 15.18-0+deb12u1)`. */
  readonly version: string
  readonly systemIdentifier: string
  readonly inRecovery: boolean
  readonly timeline: number
  readonly position: PositionFound
  readonly startedAtMs: number
  /** By name. */
  readonly settings: ReadonlyMap<string, SettingFound>
  /** When the postmaster last read its configuration. */
  readonly configLoadedAtMs: number
  /** Lines of the configuration files that PostgreSQL cannot apply. */
  readonly fileErrors: readonly FileErrorFound[]
  readonly hbaErrors: readonly HbaErrorFound[]
  readonly roles: readonly RoleFound[]
  readonly slots: readonly SlotFound[]
  readonly senders: readonly SenderFound[]
  readonly receiver: ReceiverFound | undefined
  readonly archiver: ArchiverFound
  readonly tablespaces: readonly TablespaceFound[]
  readonly conflicts: number
  /** Sessions that have waited more than 5 s for a synchronous standby. */
  readonly syncWaiters: number
  /** Regular connections open, and how many there may be. */
  readonly connections: number
  /**
   * Whose commits do not wait for a standby's disk, as configured: '' for the default, `role "x"`,
   * `database "y"`.
   */
  readonly asynchronous?: readonly string[]
}

/** Where the server is in the WAL. On a primary only `current`, on a standby the others. */
export interface PositionFound {
  readonly current: Lsn | undefined
  readonly received: Lsn | undefined
  readonly replayed: Lsn | undefined
  readonly isReplayPaused: boolean
  /** Commit time of the last replayed transaction; undefined before the first. */
  readonly replayedCommitAtMs: number | undefined
  /** The server's own clock when it answered. */
  readonly answeredAtMs: number
  /**
   * How far that clock is ahead of this machine's (behind: negative); 0 when the time the question
   * took may explain it.
   */
  readonly clockSkewMs: number
}

/** A row of pg_settings. */
export interface SettingFound {
  readonly value: string
  readonly unit: string | undefined
  readonly vartype: string
  readonly context: string
  readonly source: string
  readonly isPendingRestart: boolean
}

/** A row of pg_hba_file_rules with an error. */
export interface HbaErrorFound {
  readonly file: string
  readonly line: number
  readonly error: string
}

/** A row of pg_file_settings with an error. */
export interface FileErrorFound {
  readonly file: string
  readonly line: number
  readonly name: string
  readonly error: string
}

/** What is known of a role's password without knowing it. */
export type PasswordFound = 'ours' | 'other' | 'none'

/** A role that Backstay wants. */
export interface RoleFound {
  readonly name: string
  readonly isSuperuser: boolean
  readonly canLogin: boolean
  readonly canReplicate: boolean
  readonly connectionLimit: number
  readonly isExpired: boolean
  readonly password: PasswordFound
  /** How the password is stored. */
  readonly method: 'scram-sha-256' | 'md5' | 'none'
  readonly memberOf: readonly string[]
  /** Signatures (`pg_switch_wal()`) it may execute, of those we ask about. */
  readonly mayExecute: readonly string[]
}

/** A row of pg_replication_slots. */
export interface SlotFound {
  readonly name: string
  readonly isPhysical: boolean
  readonly isTemporary: boolean
  readonly isActive: boolean
  readonly restartLsn: Lsn | undefined
  /** WAL the server keeps because of it. */
  readonly retainedBytes: number | undefined
  /** 13+. */
  readonly walStatus: 'reserved' | 'extended' | 'unreserved' | 'lost' | undefined
  /** Why the server gave it up (17+). */
  readonly invalidationReason?: string | undefined
  /** Bytes that can still be written before the slot is lost (13+, with a limit). */
  readonly safeBytes: number | undefined
}

/** A row of pg_stat_replication. */
export interface SenderFound {
  readonly pid: number
  readonly user: string
  readonly applicationName: string
  readonly clientAddress: string | undefined
  readonly state: string
  readonly syncState: string
  readonly sentLsn: Lsn | undefined
  readonly flushLsn: Lsn | undefined
  readonly replayLsn: Lsn | undefined
  readonly replayLagMs: number | undefined
  /**
   * Whether it has replayed WAL that this primary has not written: positions of one question, the
   * sender's asked first.
   */
  readonly isAhead?: boolean
}

/** The row of pg_stat_wal_receiver. */
export interface ReceiverFound {
  readonly status: string
  readonly timeline: number
  readonly slot: string | undefined
  readonly senderHost: string | undefined
  readonly senderPort: number | undefined
  readonly lastMessageAgeMs: number | undefined
}

/** The row of pg_stat_archiver. */
export interface ArchiverFound {
  readonly archivedCount: number
  readonly lastArchivedSegment: string | undefined
  readonly lastArchivedAtMs: number | undefined
  readonly failedCount: number
  readonly lastFailedSegment: string | undefined
  readonly lastFailedAtMs: number | undefined
  /** Finished segments that wait (`.ready`); undefined where the server cannot list them. */
  readonly readyCount: number | undefined
}

/** A tablespace outside the data directory, and its size. */
export interface TablespaceFound {
  readonly oid: number
  readonly name: string
  readonly location: string
}
