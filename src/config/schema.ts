/**
 * The cluster file as one schema: keys, types, defaults and their meaning.
 * docs/reference/configuration.md and backstay.schema.json are generated from it. What one key
 * means for another is in checks.ts; defaults that depend on other keys are in settings.ts and
 * described here with `otherwise`.
 */
import { z } from 'zod'
import { BACKUP_READS } from '../cluster/wanted.ts'
import { SUPPORTED_MAJORS } from '../postgres/version.ts'
import { SSL_MODES } from '../wire/connection-options.ts'
import {
  Address,
  CronExpression,
  Duration,
  Identifier,
  Line,
  Name,
  Parameters,
  Path,
  Port,
  SegmentSize,
  Size,
} from './values.ts'

const yesOrNo = { error: 'must be true or false' }

/** What the reference says of a default that is no fixed value. */
function otherwise<S extends z.ZodType>(schema: S, defaultText: string, description: string) {
  return schema.optional().meta({ description, defaultText })
}

const Ssh = z
  .strictObject({
    user: Line.optional().describe(
      'The OS user to log in as. Left out: what ~/.ssh/config says for the host.',
    ),
    port: Port.optional().describe('The port of sshd. Left out: what ~/.ssh/config says.'),
    sudo: otherwise(
      z.boolean(yesOrNo),
      'true when `user` is given and is not root',
      'Whether that user becomes root with sudo.',
    ),
    sudoPassword: Line.optional().describe(
      'Where sudo’s password comes from: `ask` at the terminal, or the path of a file (mode 600) that holds it. Left out: sudo needs none.',
    ),
    config: Path.optional().describe(
      'A configuration file of ssh to use instead of ~/.ssh/config.',
    ),
  })
  .describe('How hosts other than this machine are reached, with the system’s OpenSSH.')

const Postgres = z
  .strictObject({
    version: z
      .literal([...SUPPORTED_MAJORS], { error: 'must be a major version from 11 to 18' })
      .describe('Major version of PostgreSQL, the same on every server.'),
    binaries: Path.optional().describe(
      'Directory with initdb, pg_ctl and postgres. Left out: searched for in the places of Debian and Red Hat, in PATH, and among the embedded ones.',
    ),
    osUser: Line.default('postgres').describe(
      'The OS user PostgreSQL runs as when Backstay runs as root.',
    ),
    install: z
      .boolean(yesOrNo)
      .default(true)
      .describe(
        'Whether `backstay up` may install PostgreSQL with the package manager of a host reached over ssh, from the repositories configured there.',
      ),
    superuser: Identifier.default('postgres').describe('The superuser initdb makes.'),
    locale: Line.default('C.UTF-8').describe('Locale of the databases, for initdb.'),
    encoding: Line.default('UTF8').describe('Encoding of the databases, for initdb.'),
    checksums: z
      .boolean(yesOrNo)
      .default(true)
      .describe('Whether pages carry checksums, for initdb.'),
    segmentSize: SegmentSize.prefault('16MB').describe('Size of a WAL segment, for initdb.'),
    authentication: z
      .enum(['scram-sha-256', 'md5'], { error: 'must be scram-sha-256 or md5' })
      .default('scram-sha-256')
      .describe('Password method of the roles and pg_hba.conf lines that Backstay makes.'),
    tablespaceRoots: z
      .array(Path, { error: 'must be a list of directories' })
      .default([])
      .describe(
        'Directories below which tablespaces may lie. Where a clone or a restore would write a tablespace to a path that only the server or the backup names, it must be below one of them; PostgreSQL’s OS user makes the directory. Everything else is refused: name it in `servers.<name>.tablespaces`.',
      ),
    parameters: Parameters.default({}).describe(
      'Settings of every server, as in postgresql.conf. Those that replication depends on are set by Backstay and refused here with the key to use instead.',
    ),
    access: z
      .array(Line, { error: 'must be a list of pg_hba.conf lines' })
      .default([])
      .describe('Lines of pg_hba.conf for your own clients; Backstay adds those it needs.'),
  })
  .describe('What all servers share.')

const Ssl = z
  .strictObject({
    mode: z
      .enum(SSL_MODES, { error: `must be one of ${SSL_MODES.join(', ')}` })
      .default('require')
      .describe(
        'libpq’s sslmode. `require` and `verify-ca` also bind the login to the TLS channel, so that nobody in between can take part in it; `verify-full` checks the certificate and the name in it.',
      ),
    rootCert: Path.optional().describe(
      'File of the certificates that servers’ certificates are checked with, at the same path on every machine; `system` for those of the system (16+). Needed by `verify-ca` and `verify-full`.',
    ),
    cert: Path.optional().describe(
      'Client certificate, at the same path on every machine. PostgreSQL asks for one where a pg_hba.conf line says clientcert.',
    ),
    key: Path.optional().describe(
      'Its key, readable by the OS users that connect and nobody else.',
    ),
  })
  .describe(
    'How connections to PostgreSQL over TCP are protected: Backstay’s own, the WAL receiver’s, those of backups and of standbys. The servers’ side is `ssl: on` and its files in `postgres.parameters`. Left out: TLS where the server offers it, its certificate unchecked.',
  )

const Server = z
  .strictObject({
    role: z
      .enum(['primary', 'standby'], { error: 'must be primary or standby' })
      .default('standby')
      .describe(
        'What to build at first; exactly one server is the primary. After a switchover what is found on the servers wins.',
      ),
    host: Address.describe(
      'Name or address of the machine. This machine itself is worked on directly, every other one over ssh.',
    ),
    ssh: Ssh.optional(),
    address: otherwise(
      Address,
      'the value of `host`',
      'Name or address that clients and the other servers connect to.',
    ),
    port: Port.default(5432).describe('Port PostgreSQL listens on.'),
    directory: otherwise(
      Path,
      '`/var/lib/postgresql/<version>/<cluster>`',
      'The data directory. On Red Hat and its like say `/var/lib/pgsql/<version>/data`.',
    ),
    adopted: z
      .boolean(yesOrNo)
      .default(false)
      .describe(
        'Written by `backstay adopt`: that the data lies in `directory` is the word of the server. While it is true nothing is made there by `up`: where no data of this cluster lies, the plan stops; `backstay reclone` clones there. Take it out, and `up` clones there by itself, as for every standby.',
      ),
    configFile: otherwise(
      Path,
      '`postgresql.conf` in the data directory',
      'The server’s postgresql.conf where it lies elsewhere, as on Debian in `/etc/postgresql/<version>/<cluster>`. What only the server says is not written to.',
    ),
    hbaFile: otherwise(
      Path,
      '`pg_hba.conf` in the data directory',
      'The server’s pg_hba.conf where it lies elsewhere.',
    ),
    socketDirectory: otherwise(
      Path,
      '`/var/run/postgresql`; `<stateDirectory>/sockets` where Backstay is not root, the server is on this machine, and that directory cannot be written',
      'Directory of the Unix socket. Where the server is to have others beside it, `unix_socket_directories` in its `parameters` names them all.',
    ),
    tablespaces: z
      .record(Path, Path)
      .default({})
      .describe(
        'Where a clone puts tablespaces when it must not use the primary’s paths: path on the primary → path here.',
      ),
    cloneFrom: z
      .enum(['primary', 'backup'], { error: 'must be primary or backup' })
      .default('primary')
      .describe(
        'Where a standby’s clone comes from: `backup` takes the newest backup in the repository, and WAL from there until it streams; the primary is not read. Only for servers and backup servers on machines of their own, reached over ssh. Without a backup the clone comes from the primary.',
      ),
    parameters: Parameters.default({}).describe(
      'Settings of this server only; they win over `postgres.parameters`.',
    ),
  })
  .describe('One PostgreSQL server; its key is its name.')

const Replication = z
  .strictObject({
    role: Identifier.default('backstay_replication').describe(
      'The role standbys connect as; Backstay makes it.',
    ),
    connectionLimit: z
      .int({ error: 'must be a whole number' })
      .min(1, 'must be at least 1')
      .default(10)
      .describe('Connection limit of that role.'),
    keep: Size.prefault('1GB').describe(
      'WAL kept for standbys that lost their slot (wal_keep_size; up to 12 wal_keep_segments).',
    ),
    slotKeep: z
      .union([z.literal('unlimited'), Size], {
        error: 'must be a size such as "64GB", or unlimited',
      })
      .prefault('16GB')
      .describe(
        'Most WAL a slot may hold back before the primary lets it go, so that a dead standby cannot fill its disk (max_slot_wal_keep_size, 13+).',
      ),
    synchronous: z
      .strictObject({
        standbys: z
          .int({ error: 'must be a number of standbys' })
          .min(1, 'must be at least 1; leave `synchronous` out for asynchronous replication')
          .describe(
            'How many of them must confirm a commit (`ANY n (…)`): the standbys, and the WAL receiver with `backup.synchronous`.',
          ),
      })
      .optional()
      .describe('Commits wait for standbys. Left out: replication is asynchronous.'),
    archive: z
      .union([z.literal('backup'), Path], {
        error: 'must be the absolute path of a directory, or backup',
      })
      .optional()
      .describe(
        'What archive_command does with finished WAL segments: `backup` stores them in the repository, over ssh where that is on another machine; a path is a directory on each server to copy them into. Left out: WAL is received by the backup server only.',
      ),
  })
  .describe('How WAL flows between the servers.')

const Backup = z
  .strictObject({
    server: Name.default('backup').describe(
      'Name of the backup server: one of `servers`, or one more of its own, which then needs `host`.',
    ),
    host: Address.optional().describe('Name or address of the machine that holds the repository.'),
    ssh: Ssh.optional(),
    address: otherwise(
      Address,
      'the value of `host`',
      'Name or address at which the servers reach sshd there, on the port in `ssh`; only used where they do (`replication.archive: backup`).',
    ),
    repository: Path.default('/var/lib/backstay').describe('Directory of the repository there.'),
    osUser: otherwise(
      Line,
      'the owner of a repository that is there; else `backstay` on a machine of its own reached over ssh (`barman` with `barman: true`), otherwise `postgres.osUser`',
      'The OS user that owns the repository and runs `backstay serve` when Backstay runs as root.',
    ),
    barman: z
      .boolean(yesOrNo)
      .default(false)
      .describe(
        'Whether `up` makes Barman’s seat there: the programs `barman`, `barman-wal-archive` and `barman-wal-restore`, the configuration with which they work on this cluster’s repository and slot, and psql; with `replication.archive: backup` the two clients on the database servers as well (docs/barman.md). Only on a machine reached over ssh.',
      ),
    role: Identifier.default('backstay_backup').describe('The role backups connect as.'),
    streamRole: Identifier.default('backstay_stream').describe('The role WAL is received as.'),
    slot: otherwise(
      Identifier,
      '`backstay_<server>`',
      'The replication slot of the WAL receiver on the primary.',
    ),
    synchronous: z
      .boolean(yesOrNo)
      .default(false)
      .describe('Whether commits may count the WAL receiver among those that confirm.'),
    schedule: z
      .strictObject({
        backup: CronExpression.optional().describe('When to take a backup (cron, local time).'),
        verify: CronExpression.optional().describe('When to verify the repository (cron).'),
      })
      .prefault({})
      .describe('Work done by `backstay serve` by itself. Left out: nothing.'),
    retention: z
      .strictObject({
        window: Duration.optional().describe(
          'Every moment within it stays restorable. Left out: nothing goes by age.',
        ),
        count: z
          .int({ error: 'must be a number of backups' })
          .min(1, 'must be at least 1')
          .optional()
          .describe('How many backups to keep. Left out: nothing goes by count.'),
        minimum: z
          .int({ error: 'must be a number of backups' })
          .min(1, 'must be at least 1')
          .default(2)
          .describe('Backups that stay whatever the other two say.'),
      })
      .prefault({})
      .describe('Which backups may go. Without `window` and `count` every backup stays.'),
    compression: z
      .int({ error: 'must be a zstd level from 1 to 19' })
      .min(1, 'must be from 1 to 19')
      .max(19, 'must be from 1 to 19')
      .default(1)
      .describe('zstd level; 1 is as small as 3 on rows, and twice as fast.'),
    read: z
      .enum(BACKUP_READS, { error: 'must be auto, files or stream' })
      .default('auto')
      .describe(
        'How a backup reads the server: `files` where they lie, between pg_backup_start and pg_backup_stop, by the processors of this machine, which has to be the server’s and to run the backup as the user whose the files are; `stream` as pg_basebackup does; `auto`: files where that can be.',
      ),
    rateLimit: Size.refine((bytes) => bytes > 0, {
      error: 'must be more than 0; leave it out for no limit',
    })
      .optional()
      .describe('Most bytes a second a backup reads. Left out: no limit.'),
  })
  .describe('The backup server. Left out: there is none.')

/**
 * The whole file. Parsing fills in the defaults that depend on no other key; settings.ts adds the
 * others.
 */
export const ClusterFile = z
  .strictObject({
    cluster: Name.describe('Name of the cluster.'),
    stateDirectory: otherwise(
      Path,
      '`.backstay/<cluster>` beside the file',
      'Directory for generated passwords, locks and journals, on the machine Backstay runs on.',
    ),
    ssh: Ssh.prefault({}),
    postgres: Postgres,
    ssl: Ssl.optional(),
    servers: z
      .record(z.string(), Server)
      .describe('The servers by name; exactly one is the primary.'),
    replication: Replication.prefault({}),
    backup: Backup.optional(),
  })
  .describe('A PostgreSQL cluster as Backstay keeps it.')

/** The file with the defaults that are fixed values filled in. */
export type ClusterFile = z.output<typeof ClusterFile>

/** Login over ssh as the file says it. */
export type SshSettings = z.output<typeof Ssh>
