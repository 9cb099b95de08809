/**
 * The cluster as found: what look.ts saw on every server at one moment. Facts only, no judgement;
 * plain data.
 */
import type { TightDisk } from '../host/full-disk.ts'
import type { PackageManager } from '../host/packages.ts'
import type { RivalUnit } from '../host/rival-units.ts'
import type { UnitState } from '../host/systemd.ts'
import type { ControlFile } from '../postgres/control-file.ts'
import type { ErrorCode } from '../errors/codes.ts'
import type { SqlFound } from './found-sql.ts'
import type { Left } from './made.ts'
import type { NoService, OwnUnit } from './machine/own-service.ts'
import type { WaysFound } from './found-ways.ts'

/** Everything seen in one look. */
export interface ClusterFound {
  /** What the state directory remembers of the cluster; undefined before it was built. */
  readonly identity: Identity | undefined
  /** The last primary that was found in order, as the state directory remembers it. */
  readonly lastPrimary?: LeaderNote | undefined
  /** Roles whose password is kept in the state directory. */
  readonly passwordRoles: readonly string[]
  /** In the order of the wish. */
  readonly servers: readonly ServerFound[]
  /** Undefined when the file has no backup part, or its host was not looked at. */
  readonly repository: RepositoryFound | undefined
  /** The machine of the backup server, when it is another one; only looked at for a plan. */
  readonly backupHost?: BackupHostFound | undefined
  /**
   * The service of the backup server when it is this machine, or why there is none; only looked at
   * for a plan.
   */
  readonly ownService?: OwnServiceFound | NoService | FoundError | undefined
  /** Id of the newest backup in the repository; only looked for when a clone may come from it. */
  readonly newestBackup?: string | undefined
  /** Names of standbys that fetch WAL from the repository; only looked at for a plan. */
  readonly fetching?: readonly string[]
  /** What Backstay made and the cluster file has no more; only looked at for a plan. */
  readonly left?: Left | undefined
  /** Whether a service on this machine is among that. */
  readonly hasLeftService?: boolean
  /** The copies of the state on the servers' machines, by server; only looked at for a plan. */
  readonly kept?: ReadonlyMap<string, KeptFound>
  /** The servers' ways into the repository; only looked at for a plan that needs them. */
  readonly ways?: WaysFound | undefined
  /** Only looked at for a plan with `backup.barman`. */
  readonly clients?: ClientsFound | undefined
}

/** The texts of Barman's clients on the servers' machines, by server and path. */
export type ClientsFound = ReadonlyMap<string, ReadonlyMap<string, string | undefined>>

/** The last primary that was found in order, for the day when it can no longer be asked. */
export interface LeaderNote {
  readonly server: string
  readonly timeline: number
  /**
   * What it had in force: for how many of whom its commits waited; empty when they did not wait.
   */
  readonly synchronousNames: string
  /** Whose commits did not wait all the same, as configured there (SqlFound.asynchronous). */
  readonly asynchronous?: readonly string[]
}

/** A copy of the state; never its content: it is a secret. */
export type KeptFound = 'ours' | 'missing' | 'different'

/**
 * What lies on the backup server's machine besides the repository, or why it could not be looked
 * at.
 */
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
  /** Whether more users than the service's group may read or write it. */
  readonly isClusterFileOpen?: boolean
  /** Undefined without systemd. */
  readonly unit: UnitState | undefined
  /** Only looked at with `backup.barman`. */
  readonly seat?: SeatSeen | undefined
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

/** The service on this machine, and what it would be. */
export interface OwnServiceFound extends OwnUnit {
  /** Who owns the repository. */
  readonly osUser: string
  readonly configFile: string
  readonly wantedText: string
  /** Whether `backstay serve` runs, and the unit is not what started it. */
  readonly isServedElse: boolean
  /** Why that OS user cannot run it; undefined when he can, and when it runs. */
  readonly obstacle: string | undefined
}

/**
 * Barman's seat there: its home, its main file when that is not ours, the texts of the files by
 * path.
 */
export interface SeatSeen {
  readonly hasHome: boolean
  /** What could install psql; looked for only when it is missing and may be installed. */
  readonly psqlFrom?: PackageManager | undefined
  readonly hasOtherMain: boolean
  readonly texts: ReadonlyMap<string, string | undefined>
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
      /**
       * Of the cluster whose backups lie there under this cluster's name; decimal digits. Undefined
       * when none do.
       */
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

/**
 * One server as found. With an unreachable host everything after `host` is unknown and stands as
 * empty.
 */
export interface ServerFound {
  readonly name: string
  /** Undefined when the host answered. */
  readonly hostError: FoundError | undefined
  /** The OS user PostgreSQL runs as on that host. */
  readonly osUser: string
  /**
   * Tells machines apart, whatever address they were reached by; undefined where they do not say.
   */
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
  /**
   * Where it has no room for a segment of WAL; only looked for when it does not answer, or follows
   * nobody.
   */
  readonly tightDisk?: TightDisk | undefined
  /** Room for a clone; only looked at when one is needed. */
  readonly room: RoomFound | undefined
  /**
   * Backstay on the machine; only looked at when a clone is needed on another machine than this
   * one.
   */
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
  /** Other units that start the same data directory. Default: none. */
  readonly rivals?: readonly RivalUnit[]
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
  /**
   * The newest timeline the directory knows: pg_control lags behind a promotion, history files do
   * not.
   */
  readonly timeline: number
  /** standby.signal (12+) or recovery.conf with standby_mode (11). */
  readonly isStandby: boolean
  /**
   * A restore's recovery that has not ended: recovery.signal (12+) or recovery.conf without
   * standby_mode (11).
   */
  readonly isRecovering?: boolean
  /**
   * Marked as a standby, it was last a primary that did not shut down: what it comes to at its next
   * start is decided by how far its WAL can be read, not by where its line was left.
   */
  readonly isCrashedPrimary?: boolean
  /** Why a failover has fenced a standby, one sentence without full stop. */
  readonly fence?: string
  /** A clone's mark that outlived the clone. */
  readonly hasStaleMark: boolean
  /** An initdb note in the state directory that outlived initdb. */
  readonly hasStaleNote: boolean
}

/** A configuration file somewhere else than the cluster file says. */
export interface StrayFile {
  /** The key of the cluster file that would name it. */
  readonly key: 'configFile' | 'hbaFile'
  readonly path: string
}

/**
 * Texts of the files we write or write into; undefined when there is no such file. Times are 0
 * without a file.
 */
export interface FilesFound {
  /** postgresql.conf; our own files stand beside it. */
  readonly mainPath: string
  readonly main: string | undefined
  readonly settings: string | undefined
  readonly hbaPath: string
  /**
   * Files a running server names that are neither in its directory nor in the cluster file: not
   * looked at.
   */
  readonly strays?: readonly StrayFile[]
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
    /** Why it may not be written here at all, completing “the location …”. */
    readonly why?: string
  }[]
}
