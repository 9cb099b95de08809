/**
 * What backup.json says: one finished backup as a value. Reading and writing it: catalogue.ts.
 */
import type { Lsn } from '../postgres/lsn.ts'

declare const brand: unique symbol

/** A backup's id: its start in UTC, `YYYYMMDDTHHMMSS`. Sorts as time. */
export type BackupId = string & { readonly [brand]: 'BackupId' }

/** Reads a backup id; undefined when `text` is none. */
export function parseBackupId(text: string): BackupId | undefined {
  return /^\d{8}T\d{6}$/.test(text) ? (text as BackupId) : undefined
}

/** The id of a backup that starts at `epochMs`. */
export function backupIdAt(epochMs: number): BackupId {
  return new Date(epochMs).toISOString().replace(/[-:]|\.\d+Z$/g, '') as BackupId
}

const BACKUP_TYPES = ['full', 'changed-pages'] as const

/** Whether every page is in the backup's own packs, or unchanged ones are pointed at. */
export type BackupType = (typeof BACKUP_TYPES)[number]

const BACKUP_METHODS = ['stream', 'page-lsn', 'incremental', 'block-map'] as const

/**
 * How pages were chosen: all; all received and the newer ones stored; only changes sent by the
 * server; only what the WAL since the reference names.
 */
export type BackupMethod = (typeof BACKUP_METHODS)[number]

const BACKUP_STATUSES = ['done', 'bad-pages'] as const

/** `bad-pages`: complete, but pages with a wrong checksum came from the server. */
export type BackupStatus = (typeof BACKUP_STATUSES)[number]

/** One pack that a backup points into. */
export interface PackUse {
  readonly name: string
  /** Size of the whole pack object. */
  readonly storedBytes: number
  /** Sum of all its units before compression. */
  readonly rawBytes: number
  /** Of these, what this backup needs. */
  readonly liveBytes: number
}

/**
 * A page whose checksum was wrong when it was received. `path` is relative to the data directory.
 */
export interface BadPage {
  readonly path: string
  readonly block: number
}

/** The server a backup belongs to. */
export interface BackupPostgres {
  /** Decimal. */
  readonly systemIdentifier: string
  readonly major: number
  /** As `server_version_num`: 150018, 180004. */
  readonly versionNumber: number
  readonly segmentBytes: number
  readonly dataChecksums: boolean
}

/** A tablespace other than pg_default and pg_global. */
export interface BackupTablespace {
  readonly oid: number
  /** Where it was on the server. Its files are under `pg_tblspc/<oid>/` in the manifest. */
  readonly location: string
}

/** One finished backup. Immutable. Keys are those of backup.json. */
export interface BackupInfo {
  readonly id: BackupId
  readonly cluster: string
  readonly label: string | null
  readonly type: BackupType
  readonly method: BackupMethod
  readonly reference: BackupId | null
  /** Why a full was taken although a backup was there, or null. */
  readonly fullBecause: string | null
  readonly status: BackupStatus
  readonly source: {
    readonly role: 'primary' | 'standby'
    readonly server: string | null
    readonly host: string
    readonly port: number
  }
  readonly postgres: BackupPostgres
  readonly timeline: number
  /** First WAL position recovery needs. */
  readonly startLsn: Lsn
  /** Consistent from here on; WAL before it is in the repository. */
  readonly stopLsn: Lsn
  /** ISO 8601 UTC. */
  readonly startedAt: string
  readonly finishedAt: string
  readonly tablespaces: readonly BackupTablespace[]
  readonly bytes: {
    /** Sum of the sizes of its files: what a restore writes. */
    readonly database: number
    readonly received: number
    /** Newly stored, before compression. */
    readonly changed: number
    /** New packs and manifest, as they lie in the repository. */
    readonly stored: number
  }
  readonly files: number
  readonly manifest: { readonly storedBytes: number; readonly sha256: string }
  /**
   * Whether PostgreSQL's own backup_manifest is among the files and right for the restored
   * directory.
   */
  readonly serverManifest: boolean
  readonly packs: readonly PackUse[]
  /** `list` holds the first 1000. */
  readonly badPages: { readonly count: number; readonly list: readonly BadPage[] }
  /**
   * Pages that were being written when they were received: wrong as they are stored, and written
   * anew by the backup's own WAL. Undefined in backups that know of none.
   */
  readonly tornPages?: readonly BadPage[]
  /**
   * With method `incremental`: what the server had changed and does not send was not taken over
   * from the reference, which are bits of visibility maps and pages behind the place to which a
   * relation was cut. Undefined in those of older builds, which may hold deleted rows.
   */
  readonly truePages?: true
  /**
   * Interrupted fulls into whose packs it points, oldest first. Undefined in those that point into
   * none.
   */
  readonly resumed?: readonly BackupId[]
  readonly compression: { readonly codec: 'zstd'; readonly level: number }
  readonly createdBy: string
}

/**
 * Whether its pages are the server's: in an incremental one somebody has to have seen to those that
 * the server changes and does not send.
 */
export function hasTruePages({ method, truePages }: BackupInfo): boolean {
  return method !== 'incremental' || truePages === true
}

/** A backup in the catalogue: what it is, and whether an operator keeps it. */
export interface CataloguedBackup {
  readonly info: BackupInfo
  /** Undefined when the backup is not kept. */
  readonly keep: BackupKeep | undefined
}

/** What may stay with a kept backup, in Barman's words. */
export const KEEP_TARGETS = ['standalone', 'full'] as const

/**
 * `standalone`: the WAL that makes it consistent stays with it. `full`: all WAL after it as well.
 */
export type KeepTarget = (typeof KEEP_TARGETS)[number]

/** An operator's wish that a backup stays. */
export interface BackupKeep {
  readonly keptAt: string
  readonly reason: string | null
  readonly target: KeepTarget
}
