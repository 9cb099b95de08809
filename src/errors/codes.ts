/**
 * The catalogue of everything that can go wrong: code → family, exit code, what it says, what to
 * do. docs/errors.md is generated from it (`npm run docs`). Codes are stable: scripts match on
 * them.
 */

/** One kind of failure as the catalogue describes it. */
export interface ErrorKind {
  /** Process exit code (docs/exit-codes.md). */
  readonly exitCode: number
  /** What happened, in general. */
  readonly says: string
  /** What the operator does about it. */
  readonly remedy: string
  /** Whether trying the same thing again later can succeed without anybody acting. */
  readonly retryable?: true
}

/**
 * Every code there is, by family. Scripts match on the codes: one may be added, none changes its
 * meaning.
 */
export const ERROR_KINDS = {
  USAGE: {
    exitCode: 2,
    says: 'The command line is wrong.',
    remedy: 'Run the command with --help.',
  },
  CONFIG_MISSING: {
    exitCode: 2,
    says: 'No cluster file was found.',
    remedy: 'Run `backstay init`, or name the file with --config.',
  },
  CONFIG_INVALID: {
    exitCode: 2,
    says: 'The cluster file has problems; each is listed as file:line:col.',
    remedy: 'Correct the lines named.',
  },
  FAILED: {
    exitCode: 1,
    says: 'The work could not be done.',
    remedy: 'Read the message: it names what failed and where.',
  },
  TIMEOUT: {
    exitCode: 1,
    says: 'Something waited for did not happen in time.',
    remedy: 'The message names what was waited for; look there.',
    retryable: true,
  },
  PARTIAL: {
    exitCode: 3,
    says: 'Some of the work was done, some failed.',
    remedy: 'Each failure is listed; run the command again afterwards.',
  },
  CHECK_FAILED: {
    exitCode: 3,
    says: 'At least one check is not OK.',
    remedy: 'Each finding names its cause and remedy.',
  },
  NEEDS_CONFIRMATION: {
    exitCode: 2,
    says: 'The command destroys something and was not confirmed.',
    remedy: 'Add --yes if that is what you want.',
  },
  DIRECTORY_FOREIGN: {
    exitCode: 1,
    says: "A data directory holds something that is not this cluster's.",
    remedy: 'Name another directory, or move the content away yourself.',
  },
  DIRECTORY_GONE: {
    exitCode: 1,
    says: 'A cluster that was built has lost its data directories.',
    remedy: 'Mount the disk that holds them, or restore a backup.',
  },
  DIRECTORY_OWNER: {
    exitCode: 1,
    says: 'A directory belongs to the wrong OS user or has the wrong mode.',
    remedy: 'Correct owner and mode as the message says.',
  },
  PRIMARY_MISSING: {
    exitCode: 23,
    says: 'No server of the cluster is, or can be started as, the primary.',
    remedy: 'Bring the primary back, or promote a standby with `backstay failover`.',
  },
  SPLIT_BRAIN: {
    exitCode: 23,
    says: 'More than one server of a cluster is a primary.',
    remedy: 'Stop the wrong one and let it follow again with `backstay rejoin`.',
  },
  NOT_READY: {
    exitCode: 1,
    says: 'The servers are not in the state the command needs; nothing was changed.',
    remedy: 'Put right what the message names, then run the command again.',
  },
  UNFINISHED: {
    exitCode: 1,
    says: 'A change of roles stopped half-way.',
    remedy: 'Run the command the message names: it finishes or undoes it.',
  },
  DRIFT: {
    exitCode: 3,
    says: 'Something on a server contradicts the cluster file and is not for Backstay to change.',
    remedy: 'Change it by hand as the message says, or change the cluster file.',
  },
  DISK_SPACE: {
    exitCode: 1,
    says: 'There is not enough disk space.',
    remedy: 'Free space or choose another directory.',
  },
  PORT_IN_USE: {
    exitCode: 1,
    says: 'A port is already taken by somebody else.',
    remedy: 'Stop that process or choose another port.',
  },
  SERVER_RUNNING: {
    exitCode: 1,
    says: 'A running server uses the directory.',
    remedy: 'Stop it first, or name another directory.',
  },
  BINARIES_MISSING: {
    exitCode: 22,
    says: 'PostgreSQL of the wanted major version was not found.',
    remedy: 'Install it, or set postgres.binaries in the cluster file.',
  },
  REPOSITORY_MISSING: {
    exitCode: 10,
    says: 'There is no repository there.',
    remedy: 'Check the path; is its disk mounted? A new one is made by `backstay up`.',
  },
  REPOSITORY_LOCKED: {
    exitCode: 11,
    says: 'Another process works on the same thing.',
    remedy: 'Wait for it; the message names its pid and host.',
    retryable: true,
  },
  REPOSITORY_KEY: {
    exitCode: 12,
    says: 'The key does not open the repository.',
    remedy: 'Use the key the repository was made with.',
  },
  REPOSITORY_DAMAGED: {
    exitCode: 13,
    says: 'Something in the repository is missing or altered.',
    remedy: 'Run `backstay verify-backup`; restore from another backup; replace the disk.',
  },
  REPOSITORY_FORMAT: {
    exitCode: 13,
    says: 'The repository has a format this version does not know.',
    remedy: 'Use a version of Backstay that knows it.',
  },
  BACKUP_MISSING: {
    exitCode: 10,
    says: 'There is no such backup.',
    remedy: 'See `backstay backups`.',
  },
  BACKUP_NEEDED: {
    exitCode: 1,
    says: 'The backup must stay: it is kept, or the minimum is reached.',
    remedy: 'Release it with `backstay keep --release`, or lower the minimum.',
  },
  POSTGRES_UNREACHABLE: {
    exitCode: 20,
    says: 'PostgreSQL does not answer.',
    remedy: 'See that it runs and that address and port are right.',
    retryable: true,
  },
  POSTGRES_CONNECTION_LOST: {
    exitCode: 20,
    says: 'PostgreSQL ended the connection.',
    remedy: 'See the server log for the reason.',
    retryable: true,
  },
  POSTGRES_AUTH: {
    exitCode: 21,
    says: 'PostgreSQL refused the login.',
    remedy: 'Check password file and role.',
  },
  POSTGRES_HBA: {
    exitCode: 21,
    says: 'pg_hba.conf refuses the connection.',
    remedy: 'Run `backstay up`, or add the line the message names.',
  },
  POSTGRES_TLS: {
    exitCode: 20,
    says: 'The encrypted connection could not be made, or the server could not be proved to be the right one.',
    remedy: 'Check sslmode, sslrootcert and the host name in the certificate.',
  },
  POSTGRES_VERSION: {
    exitCode: 22,
    says: 'The PostgreSQL version is not the one wanted or not supported.',
    remedy: 'Use PostgreSQL 11 to 18, the same major everywhere.',
  },
  POSTGRES_IDENTITY: {
    exitCode: 23,
    says: 'The server is of another system identifier or timeline.',
    remedy: 'Connect to the right server; never mix two clusters.',
  },
  POSTGRES_LIMIT: {
    exitCode: 20,
    says: 'The server has no free WAL sender, slot or connection.',
    remedy: 'Raise the setting the message names, or free one.',
    retryable: true,
  },
  POSTGRES_PROTOCOL: {
    exitCode: 20,
    says: 'The server sent something the protocol does not allow.',
    remedy: 'Is something else listening there?',
  },
  POSTGRES_QUERY: {
    exitCode: 1,
    says: 'PostgreSQL refused a command.',
    remedy: 'The message holds its SQLSTATE and text.',
  },
  POSTGRES_FILE_INVALID: {
    exitCode: 1,
    says: 'A file of PostgreSQL is damaged or not in its format.',
    remedy: 'Look at the file and place the message names; restore it if it was damaged.',
  },
  SLOT_MISSING: {
    exitCode: 1,
    says: 'The replication slot does not exist.',
    remedy: 'Run `backstay up`: it creates the slots of the cluster file.',
  },
  SLOT_IN_USE: {
    exitCode: 20,
    says: 'Another connection uses the replication slot.',
    remedy: 'Stop the other receiver; the message names its pid on the server.',
    retryable: true,
  },
  WAL_UNAVAILABLE: {
    exitCode: 50,
    says: 'A WAL segment that is needed is gone from the server.',
    remedy: 'Take a new full backup; the gap is recorded.',
  },
  WAL_MISSING: {
    exitCode: 1,
    says: 'The WAL file is not there.',
    remedy: 'Nothing if recovery has reached the end of WAL.',
  },
  WAL_HOLE: {
    exitCode: 50,
    says: 'A WAL file is not held although later WAL is: recovery must not end before it.',
    remedy:
      'See `backstay wal gaps`; recover to a target before the hole, or from a backup after it.',
  },
  WAL_CONFLICT: {
    exitCode: 1,
    says: 'The same WAL segment is there already with other content.',
    remedy: 'Two primaries write to one cluster: find and stop the wrong one.',
  },
  WAL_INVALID: {
    exitCode: 1,
    says: 'A file is not the WAL segment its name says.',
    remedy: 'Find out who sent it; nothing was changed.',
  },
  HOST_UNREACHABLE: {
    exitCode: 30,
    says: 'A host does not answer.',
    remedy: 'Check address, network and ssh.',
    retryable: true,
  },
  HOST_COMMAND: {
    exitCode: 31,
    says: 'A command on a host failed.',
    remedy: 'The message holds the command, its exit code and last lines.',
  },
  HOST_PRIVILEGE: {
    exitCode: 31,
    says: 'The OS user may not do what is needed.',
    remedy: 'Run as root, or as the user the message names.',
  },
  STORE: {
    exitCode: 40,
    says: 'The store that holds the repository failed.',
    remedy: 'Check disk, mount and permissions.',
    retryable: true,
  },
  TARGET_UNREACHABLE: {
    exitCode: 50,
    says: 'The moment asked for cannot be restored.',
    remedy: 'The message names the nearest moment that can.',
  },
  RECOVERY_END: {
    exitCode: 50,
    says: 'The recovery of a restored server did not end where it was planned to.',
    remedy: 'Do not use the copy for what was asked for; see its log and check the WAL.',
  },
  DATA_LOSS: {
    exitCode: 51,
    says: 'Going on could lose acknowledged commits.',
    remedy: 'Read what would be lost; --allow-data-loss if you accept it.',
  },
  INTERRUPTED: {
    exitCode: 130,
    says: 'The work was interrupted.',
    remedy: 'Run the command again: it goes on.',
  },
  BUG: {
    exitCode: 70,
    says: 'Backstay itself is wrong.',
    remedy: 'Report it with the text printed.',
  },
} as const satisfies Record<string, ErrorKind>

/** A stable code of the catalogue. */
export type ErrorCode = keyof typeof ERROR_KINDS
