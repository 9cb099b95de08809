/**
 * The cluster as found: what look.ts saw on every server at one moment. Facts only, no judgement; plain data.
 */
import type { PackageManager } from '../host/packages.ts'
import type { UnitState } from '../host/systemd.ts'
import type { ControlFile } from '../postgres/control-file.ts'
import type { ErrorCode } from '../errors/codes.ts'
import type { SqlFound } from './found-sql.ts'
import type { WaysFound } from './way/found-ways.ts'

/** Everything seen in one look. */
export interface ClusterFound {
  /** What the state directory remembers of the cluster; undefined before it was built. */
  readonly identity: Identity | undefined
  /** Roles whose password is kept in the state directory. */
  readonly passwordRoles: readonly string[]
  /** In the order of the wish. */
  readonly servers: readonly ServerFound[]
  /** Undefined when the file has no backup part, or its host was not looked at. */
  readonly repository: RepositoryFound | undefined
  /** The machine of the backup server, when it is another one; only looked at for a plan. */
  readonly backupHost?: BackupHostFound | undefined
  /** Id of the newest backup in the repository; only looked for when a clone may come from it. */
  readonly newestBackup?: string | undefined
  /** Names of standbys that fetch WAL from the repository; only looked at for a plan. */
  readonly fetching?: readonly string[]
  /** The servers' ways into the repository; only looked at for a plan that needs them. */
  readonly ways?: WaysFound | undefined
}

/** What lies on the backup server's machine besides the repository, or why it could not be looked at. */
export interface BackupHostFound {
  readonly seen: BackupHostSeen | undefined
  readonly hostError: FoundError | undefined
}

/** The Backstay on the backup server's machine. */
export interface BackupHostSeen {
  readonly osUser: string
  readonly hasUser: boolean
  /** As `uname -m` says it. */
  readonly architecture: string
  readonly usesSystemd: boolean
  /** The version in use; undefined when there is none. */
  readonly version: string | undefined
  /** Whether the wanted version is there whole. */
  readonly hasPackage: boolean
  readonly clusterFile: string | undefined
  /** Undefined without systemd. */
  readonly unit: UnitState | undefined
  /** What this Backstay would put there. */
  readonly wanted: {
    readonly version: string
    /** Where that version would lie there. */
    readonly directory: string
    readonly architecture: string
    readonly clusterFile: string
    readonly unitText: string
  }
}

/** The directory of the repository, and the password file in it. */
export type RepositoryFound =
  | { readonly state: 'missing'; readonly osUser: string }
  | {
      readonly state: 'there'
      readonly osUser: string
      readonly owner: string
      /** Never the content: it is a secret. */
      readonly passfile: 'ours' | 'missing' | 'different'
      /** Of the cluster whose backups lie there under this cluster's name; decimal digits. Undefined when none do. */
      readonly systemIdentifier: string | undefined
    }

/** Which cluster this is, remembered from the day it was built. */
export interface Identity {
  readonly cluster: string
  /** Decimal digits (64 bits do not fit a number). */
  readonly systemIdentifier: string
  readonly major: number
  readonly createdAt: string
}

/** One server as found. With an unreachable host everything after `host` is unknown and stands as empty. */
export interface ServerFound {
  readonly name: string
  /** Undefined when the host answered. */
  readonly hostError: FoundError | undefined
  /** The OS user PostgreSQL runs as on that host. */
  readonly osUser: string
  /** Tells machines apart, whatever address they were reached by; undefined where they do not say. */
  readonly machineId?: string | undefined
  /** What could install PostgreSQL; looked for only when it is missing and may be installed. */
  readonly packageManager?: PackageManager | undefined
  /** The unit that starts the server at boot; undefined where systemd does not do that. */
  readonly service?: ServiceFound | undefined
  readonly binaries: BinariesFound | FoundError
  readonly directory: DirectoryFound
  /** The postmaster that works in the directory. */
  readonly running: RunningFound | undefined
  /** Who listens on the wanted port when it is not this server. */
  readonly portTakenBy: string | undefined
  readonly files: FilesFound
  readonly sql: SqlFound | undefined
  /** Why `sql` is undefined although the server runs. */
  readonly sqlError: FoundError | undefined
  /** Room for a clone; only looked at when one is needed. */
  readonly room: RoomFound | undefined
  /** Backstay on the machine; only looked at when a clone is needed on another machine than this one. */
  readonly backstay?: PackageFound | undefined
  /** Data directories that a reclone set aside and nobody removed yet. */
  readonly asides: readonly string[]
}

/** This Backstay as seen on a machine. */
export interface PackageFound {
  /** What this Backstay would put there, and where. */
  readonly version: string
  readonly directory: string
  /** Whether it is there whole. */
  readonly isThere: boolean
  /** Why it cannot be put there, in words that follow «because»; undefined when it can. */
  readonly obstacle: string | undefined
}

/** What postmaster.pid says of a running server. */
export interface RunningFound {
  readonly pid: number
  readonly port: number
  /** Undefined when it has no Unix socket. */
  readonly socketDirectory: string | undefined
}

/** The systemd unit of a server, and the guard it asks. */
export interface ServiceFound extends UnitState {
  readonly guard: string | undefined
}

/** A failure that was met while looking. */
export interface FoundError {
  readonly code: ErrorCode
  readonly message: string
  readonly hint: string
}

/** The programs a server runs with. */
export interface BinariesFound {
  readonly directory: string
  /** For example `18.4`. */
  readonly version: string
}

/** What lies in the data directory's place. */
export type DirectoryFound =
  | { readonly state: 'unknown' }
  | { readonly state: 'missing' }
  | { readonly state: 'empty'; readonly owner: string; readonly mode: number }
  | { readonly state: 'initdb-unfinished'; readonly workerPid: number | undefined }
  | { readonly state: 'clone-unfinished'; readonly tablespaces: readonly string[] }
  /** Not a data directory, or not one that can be read. */
  | { readonly state: 'foreign'; readonly content: string }
  | DataDirectoryFound

/** A PostgreSQL data directory. Whose it is, is for the planner to say. */
export interface DataDirectoryFound {
  readonly state: 'data'
  readonly owner: string
  readonly mode: number
  readonly major: number
  readonly control: ControlFile
  /** The newest timeline the directory knows: pg_control lags behind a promotion, history files do not. */
  readonly timeline: number
  /** standby.signal (12+) or recovery.conf with standby_mode (11). */
  readonly isStandby: boolean
  /** A clone's mark that outlived the clone. */
  readonly hasStaleMark: boolean
  /** An initdb note in the state directory that outlived initdb. */
  readonly hasStaleNote: boolean
}

/** Texts of the files we write or write into; undefined when there is no such file. Times are 0 without a file. */
export interface FilesFound {
  /** postgresql.conf; our own files stand beside it. */
  readonly mainPath: string
  readonly main: string | undefined
  readonly settings: string | undefined
  readonly hbaPath: string
  readonly hba: string | undefined
  readonly autoConf: string | undefined
  /** backstay-standby.conf, or recovery.conf up to 11. */
  readonly standby: string | undefined
  readonly standbyModifiedAtMs: number
  /** The newest of main, settings and hba. */
  readonly modifiedAtMs: number
  /** Never the content: it is a secret. */
  readonly passfile: 'ours' | 'missing' | 'different'
  /** Wanted directories that are not there (archive, Unix socket). */
  readonly missingDirectories: readonly string[]
}

/** Disk space and tablespace targets for a clone. */
export interface RoomFound {
  /** File systems that cannot hold what would land on them. */
  readonly shortages: readonly {
    readonly path: string
    readonly neededBytes: number
    readonly freeBytes: number
  }[]
  /** Where the primary's tablespaces would go. */
  readonly tablespaces: readonly {
    readonly source: string
    readonly target: string
    /** Whether there is something in the way. */
    readonly isOccupied: boolean
  }[]
}
