/**
 * The cluster as the operator wants it: what the cluster file says with every default filled in.
 * Plain data; `src/config` makes it, the planner reads it.
 */
import type { PostgresMajor } from '../postgres/version.ts'
import type { SslMode } from '../wire/connection-options.ts'

/** What the cluster file says of one cluster, paths made absolute where they can be. */
export interface ClusterWanted {
  readonly name: string
  /**
   * Absolute directory (0700) for passwords, locks and journals of this cluster, on the machine
   * Backstay runs on.
   */
  readonly stateDirectory: string
  readonly postgres: PostgresWanted
  /**
   * How connections over TCP are encrypted and the server's certificate judged. Default: TLS where
   * the server offers it.
   */
  readonly ssl?: SslWanted
  /** In the order of the file; exactly one has role `primary`. */
  readonly servers: readonly ServerWanted[]
  readonly replication: ReplicationWanted
  /** Undefined when the file has no backup part. */
  readonly backup: BackupWanted | undefined
}

/** Absolute paths hold on every machine. */
export interface SslWanted {
  readonly mode: SslMode
  /** Or `system`. */
  readonly rootCert?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
}

/** What all servers share. */
export interface PostgresWanted {
  readonly version: PostgresMajor
  /**
   * Directory with initdb, pg_ctl and postgres; searched for in the usual places when undefined.
   */
  readonly binaries: string | undefined
  /** OS user the servers run as when Backstay is root (`postgres`); ignored otherwise. */
  readonly osUser: string
  /** Whether `up` may install PostgreSQL on hosts reached over ssh. Default true. */
  readonly install?: boolean
  readonly superuser: string
  readonly locale: string
  readonly encoding: string
  readonly checksums: boolean
  readonly segmentBytes: number
  /**
   * Absolute directories below which tablespaces of the primary may be made on the other servers.
   * Default: none.
   */
  readonly tablespaceRoots?: readonly string[]
  /** The operator's settings, verbatim, as strings. */
  readonly parameters: Readonly<Record<string, string>>
  /** The operator's pg_hba.conf lines, verbatim. */
  readonly access: readonly string[]
  /** Password method of our own roles and lines: scram-sha-256 unless the file says md5. */
  readonly authentication: 'scram-sha-256' | 'md5'
}

/** How a machine is reached. */
export interface HostWanted {
  /**
   * `localhost`/`127.0.0.1`/`::1` or this machine itself: the local driver; everything else goes
   * over ssh.
   */
  readonly address: string
  readonly local: boolean
  readonly ssh: {
    readonly user: string | undefined
    readonly port: number | undefined
    readonly sudo: boolean
    /** Absolute path of a configuration file instead of ~/.ssh/config. */
    readonly config?: string | undefined
    /**
     * `ask`, or the absolute path of a file that holds sudo's password; undefined when sudo needs
     * none.
     */
    readonly sudoPassword?: string | undefined
  }
}

/**
 * One PostgreSQL server: where it runs, where its files lie, and what it differs in from the
 * others.
 */
export interface ServerWanted {
  readonly name: string
  /** What to build at first; afterwards what is found on the servers wins. */
  readonly role: 'primary' | 'standby'
  readonly host: HostWanted
  /** Address other servers and clients connect to; usually `host.address`. */
  readonly address: string
  readonly port: number
  readonly directory: string
  /** Absolute paths where they do not lie in the directory under their usual names. */
  readonly configFile?: string
  readonly hbaFile?: string
  /** Directory of the Unix socket. */
  readonly socketDirectory: string
  /**
   * Where tablespaces go when a clone must not use the primary's paths (several servers on one
   * machine).
   */
  readonly tablespaceMapping: Readonly<Record<string, string>>
  /** Whether a clone of it comes from the newest backup. Default: from the primary. */
  readonly clonesFromBackup?: boolean
  /**
   * Whether that its data lies in `directory` is the server's own word: nothing is made there
   * unasked. Default false.
   */
  readonly isAdopted?: boolean
  /** Server-only settings; they win over `postgres.parameters`. */
  readonly parameters: Readonly<Record<string, string>>
}

/** How WAL flows between the servers. */
export interface ReplicationWanted {
  /** Names of the roles Backstay makes. */
  readonly role: string
  readonly connectionLimit: number
  /** WAL kept for standbys without slot (wal_keep_size); bytes. */
  readonly walKeepBytes: number
  /** max_slot_wal_keep_size (13+); bytes; undefined is no limit. */
  readonly maxSlotWalKeepBytes: number | undefined
  /** Number of standbys that must confirm a commit; undefined is asynchronous. */
  readonly synchronousStandbys: number | undefined
  /** Local directory for finished segments (archive_command), or undefined. */
  readonly archiveDirectory: string | undefined
  /** Whether archive_command stores finished segments in the repository. Default false. */
  readonly archivesToRepository?: boolean
}

/**
 * Where a backup takes the bytes from: files where they lie, the server's stream, or what can be.
 */
export const BACKUP_READS = ['auto', 'files', 'stream'] as const

/** A word of `backup.read`. */
export type BackupRead = (typeof BACKUP_READS)[number]

/**
 * The backup server: where the repository is, how WAL and backups reach it, and how long they stay.
 */
export interface BackupWanted {
  readonly name: string
  readonly host: HostWanted
  /** Address at which the servers reach sshd there. Default: that of the host. */
  readonly address?: string
  /** The command line of Backstay there, without its own words. Default: what `up` installs. */
  readonly program?: readonly string[]
  /** Absolute path of the repository on that host. */
  readonly repository: string
  /** Whether `up` makes Barman's names and configuration there. Default false. */
  readonly barman?: boolean
  /**
   * OS user that owns the repository and runs the service when Backstay is root. Default:
   * `postgres.osUser`.
   */
  readonly osUser?: string
  /**
   * Whether the owner of a repository that is there already goes before `osUser`, which is only a
   * default. Default false.
   */
  readonly keepsOwner?: boolean
  readonly backupRole: string
  readonly streamRole: string
  readonly slot: string
  /** Whether the WAL receiver stands in synchronous_standby_names. */
  readonly synchronous: boolean
  /** Cron expression of the backup, or undefined. */
  readonly schedule: { readonly backup: string | undefined; readonly verify: string | undefined }
  readonly retention: {
    readonly windowMs: number | undefined
    readonly count: number | undefined
    readonly minimum: number
  }
  /** How a backup reads the server. */
  readonly read: BackupRead
  /** zstd level. */
  readonly compressionLevel: number
  /** Bytes a second, or undefined. */
  readonly rateLimitBytes: number | undefined
}
