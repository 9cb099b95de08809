/**
 * Every server option Barman 3.17 knows: where it may stand, its default, how its text is read, and
 * what becomes of it here.
 */

/** How an option's text is read. `1..72`: a whole number between them. */
export type OptionKind =
  | 'text'
  | 'boolean'
  | 'whole'
  | 'integer'
  | 'interval'
  | 'amount'
  | 'retention'
  | 'slot'
  | 'path'
  | 'names'
  | `${number}..${number}`
  | `one of ${string}`
  | `some of ${string}`

/** `notice`: accepted, has no effect · `refused`: a server with it is disabled. */
export type OptionStanding = 'honoured' | 'notice' | 'refused'

const PROGRAMS = 'one of gzip, lz4, zstd, none'
const BACKUP_OPTIONS = 'some of concurrent_backup, exclusive_backup, external_configuration'
const COMBINE = 'one of copy, link, clone, copy-file-range'

const REASONS = {
  wal: 'WAL is kept as zstd in the repository, always',
  base: 'backups are kept as zstd in the repository, always',
  place: 'backups and WAL are in the repository below barman_home',
  slot: 'the slot is looked at through conninfo',
  rsync: 'the base backup comes over the replication protocol, nothing is copied with rsync',
  cloud: 'snapshots of cloud disks are not made',
  stage: 'a restore needs no staging: every backup restores as a full one',
  gpg: 'the repository is not encrypted',
  retry: 'a failed backup is not tried again by itself',
  batch: 'received segments are stored as soon as they are finished',
  standby: 'a standby is backed up without its primary',
  worm: 'objects of the repository are never changed, only removed by retention',
  xlogdb: 'there is no xlog.db: the repository lists its WAL itself',
} as const

/** Why an option has no effect. */
export type Reason = keyof typeof REASONS

/**
 * An option of Barman's as data: where it may stand, what it is when nobody sets it, and whether it
 * is honoured.
 */
export interface BarmanOption {
  readonly name: string
  /** May be inherited from [barman] (G), stand in a server's section (S), in a model (M). */
  readonly scope: 'GSM' | 'GS' | 'SM' | 'S'
  /** As text; may refer to others. */
  readonly standard: string | undefined
  readonly kind: OptionKind
  readonly standing: OptionStanding
  /** In words, for options that are not honoured. */
  readonly because: string | undefined
}

type OptionRow = readonly [
  name: string,
  scope: BarmanOption['scope'],
  standard: string | undefined,
  kind: OptionKind,
  standing: OptionStanding,
  reason?: Reason,
]

const ROWS: readonly OptionRow[] = [
  ['active', 'SM', 'true', 'boolean', 'honoured'],
  ['archiver', 'GSM', 'off', 'boolean', 'honoured'],
  ['archiver_batch_size', 'GSM', '0', 'whole', 'honoured'],
  ['autogenerate_manifest', 'GSM', 'false', 'boolean', 'notice', 'rsync'],
  ['aws_await_snapshots_timeout', 'GSM', '3600', 'whole', 'notice', 'cloud'],
  ['aws_profile', 'GSM', undefined, 'text', 'notice', 'cloud'],
  ['aws_region', 'GSM', undefined, 'text', 'notice', 'cloud'],
  ['aws_snapshot_lock_cool_off_period', 'GSM', undefined, '1..72', 'notice', 'cloud'],
  ['aws_snapshot_lock_duration', 'GSM', undefined, '1..36500', 'notice', 'cloud'],
  ['aws_snapshot_lock_expiration_date', 'GSM', undefined, 'text', 'notice', 'cloud'],
  ['aws_snapshot_lock_mode', 'GSM', undefined, 'one of governance, compliance', 'notice', 'cloud'],
  [
    'azure_credential',
    'GSM',
    undefined,
    'one of azure-cli, managed-identity, default',
    'notice',
    'cloud',
  ],
  ['azure_resource_group', 'GSM', undefined, 'text', 'notice', 'cloud'],
  ['azure_subscription_id', 'GSM', undefined, 'text', 'notice', 'cloud'],
  ['backup_compression', 'GSM', undefined, PROGRAMS, 'notice', 'base'],
  ['backup_compression_format', 'GSM', undefined, 'one of plain, tar', 'notice', 'base'],
  ['backup_compression_level', 'GSM', undefined, 'integer', 'notice', 'base'],
  ['backup_compression_location', 'GSM', undefined, 'one of client, server', 'notice', 'base'],
  ['backup_compression_workers', 'GSM', undefined, 'whole', 'notice', 'base'],
  ['backup_directory', 'S', '%(barman_home)s/%(name)s', 'text', 'honoured'],
  ['backup_method', 'GSM', 'rsync', 'text', 'honoured'],
  ['backup_options', 'GSM', undefined, BACKUP_OPTIONS, 'honoured'],
  ['bandwidth_limit', 'GSM', undefined, 'whole', 'honoured'],
  ['basebackup_retry_sleep', 'GSM', '30', 'whole', 'notice', 'retry'],
  ['basebackup_retry_times', 'GSM', '0', 'whole', 'notice', 'retry'],
  ['basebackups_directory', 'S', '%(backup_directory)s/base', 'text', 'notice', 'place'],
  ['check_timeout', 'GSM', '30', 'whole', 'honoured'],
  ['cluster', 'SM', '%(name)s', 'text', 'honoured'],
  ['combine_mode', 'GSM', 'copy', COMBINE, 'notice', 'stage'],
  ['compression', 'GSM', undefined, 'text', 'notice', 'wal'],
  ['compression_level', 'GSM', 'medium', 'text', 'notice', 'wal'],
  ['conninfo', 'SM', undefined, 'text', 'honoured'],
  ['create_slot', 'GSM', 'manual', 'one of auto, manual', 'honoured'],
  ['custom_compression_filter', 'GSM', undefined, 'text', 'notice', 'wal'],
  ['custom_compression_magic', 'GSM', undefined, 'text', 'notice', 'wal'],
  ['custom_decompression_filter', 'GSM', undefined, 'text', 'notice', 'wal'],
  ['description', 'SM', undefined, 'text', 'honoured'],
  ['disabled', 'SM', 'false', 'boolean', 'honoured'],
  ['encryption', 'GSM', undefined, 'text', 'refused', 'gpg'],
  ['encryption_key_id', 'GSM', undefined, 'text', 'notice', 'gpg'],
  ['encryption_passphrase_command', 'GSM', undefined, 'text', 'notice', 'gpg'],
  ['errors_directory', 'S', '%(backup_directory)s/errors', 'text', 'honoured'],
  ['forward_config_path', 'GSM', 'false', 'boolean', 'honoured'],
  ['gcp_project', 'GSM', undefined, 'text', 'notice', 'cloud'],
  ['gcp_zone', 'SM', undefined, 'text', 'notice', 'cloud'],
  ['immediate_checkpoint', 'GSM', 'false', 'boolean', 'honoured'],
  ['incoming_wals_directory', 'S', '%(backup_directory)s/incoming', 'text', 'honoured'],
  ['keepalive_interval', 'SM', '60', 'whole', 'notice', 'rsync'],
  ['last_backup_maximum_age', 'GSM', undefined, 'interval', 'honoured'],
  ['last_backup_minimum_size', 'GSM', undefined, 'amount', 'honoured'],
  ['last_wal_maximum_age', 'GSM', undefined, 'interval', 'honoured'],
  ['local_staging_path', 'GSM', undefined, 'path', 'notice', 'stage'],
  ['max_incoming_wals_queue', 'GSM', undefined, 'whole', 'honoured'],
  ['minimum_redundancy', 'GSM', '0', 'whole', 'honoured'],
  ['network_compression', 'GSM', 'false', 'boolean', 'notice', 'wal'],
  ['parallel_jobs', 'GSM', '1', 'whole', 'honoured'],
  ['parallel_jobs_start_batch_period', 'GSM', '1', 'whole', 'notice', 'rsync'],
  ['parallel_jobs_start_batch_size', 'GSM', '10', 'whole', 'notice', 'rsync'],
  ['path_prefix', 'GSM', undefined, 'text', 'honoured'],
  ['post_archive_retry_script', 'GS', undefined, 'text', 'honoured'],
  ['post_archive_script', 'GS', undefined, 'text', 'honoured'],
  ['post_backup_retry_script', 'GS', undefined, 'text', 'honoured'],
  ['post_backup_script', 'GS', undefined, 'text', 'honoured'],
  ['post_delete_retry_script', 'GS', undefined, 'text', 'honoured'],
  ['post_delete_script', 'GS', undefined, 'text', 'honoured'],
  ['post_recovery_retry_script', 'GS', undefined, 'text', 'honoured'],
  ['post_recovery_script', 'GS', undefined, 'text', 'honoured'],
  ['post_wal_delete_retry_script', 'GS', undefined, 'text', 'honoured'],
  ['post_wal_delete_script', 'GS', undefined, 'text', 'honoured'],
  ['pre_archive_retry_script', 'GS', undefined, 'text', 'honoured'],
  ['pre_archive_script', 'GS', undefined, 'text', 'honoured'],
  ['pre_backup_retry_script', 'GS', undefined, 'text', 'honoured'],
  ['pre_backup_script', 'GS', undefined, 'text', 'honoured'],
  ['pre_delete_retry_script', 'GS', undefined, 'text', 'honoured'],
  ['pre_delete_script', 'GS', undefined, 'text', 'honoured'],
  ['pre_recovery_retry_script', 'GS', undefined, 'text', 'honoured'],
  ['pre_recovery_script', 'GS', undefined, 'text', 'honoured'],
  ['pre_wal_delete_retry_script', 'GS', undefined, 'text', 'honoured'],
  ['pre_wal_delete_script', 'GS', undefined, 'text', 'honoured'],
  ['primary_checkpoint_timeout', 'SM', '0', 'whole', 'notice', 'standby'],
  ['primary_conninfo', 'SM', undefined, 'text', 'notice', 'standby'],
  ['primary_ssh_command', 'GSM', undefined, 'text', 'honoured'],
  ['recovery_options', 'GSM', undefined, 'some of get-wal, delta-restore', 'honoured'],
  ['recovery_staging_path', 'GSM', undefined, 'path', 'notice', 'stage'],
  ['retention_policy', 'GSM', undefined, 'retention', 'honoured'],
  ['retention_policy_mode', 'GSM', 'auto', 'one of auto', 'honoured'],
  ['reuse_backup', 'GSM', undefined, 'one of copy, link, off', 'notice', 'rsync'],
  ['slot_name', 'GSM', undefined, 'slot', 'honoured'],
  ['snapshot_disks', 'SM', undefined, 'names', 'notice', 'cloud'],
  ['snapshot_gcp_project', 'GSM', undefined, 'text', 'notice', 'cloud'],
  ['snapshot_instance', 'SM', undefined, 'text', 'notice', 'cloud'],
  ['snapshot_provider', 'GSM', undefined, 'one of aws, azure, gcp', 'notice', 'cloud'],
  ['snapshot_zone', 'SM', undefined, 'text', 'notice', 'cloud'],
  ['ssh_command', 'SM', undefined, 'text', 'notice', 'rsync'],
  ['staging_location', 'GSM', 'local', 'one of local, remote', 'notice', 'stage'],
  ['staging_path', 'GSM', undefined, 'path', 'notice', 'stage'],
  ['streaming_archiver', 'GSM', 'off', 'boolean', 'honoured'],
  ['streaming_archiver_batch_size', 'GSM', '0', 'whole', 'notice', 'batch'],
  ['streaming_archiver_name', 'GSM', 'barman_receive_wal', 'text', 'honoured'],
  ['streaming_backup_name', 'GSM', 'barman_streaming_backup', 'text', 'honoured'],
  ['streaming_conninfo', 'SM', '%(conninfo)s', 'text', 'honoured'],
  ['streaming_wals_directory', 'S', '%(backup_directory)s/streaming', 'text', 'notice', 'place'],
  ['tablespace_bandwidth_limit', 'GSM', undefined, 'text', 'notice', 'rsync'],
  ['wal_conninfo', 'SM', undefined, 'text', 'notice', 'slot'],
  ['wal_retention_policy', 'GSM', 'main', 'one of main', 'honoured'],
  ['wal_streaming_conninfo', 'SM', undefined, 'text', 'honoured'],
  ['wals_directory', 'S', '%(backup_directory)s/wals', 'text', 'notice', 'place'],
  ['worm_mode', 'GSM', 'off', 'boolean', 'notice', 'worm'],
  ['xlogdb_directory', 'GS', '%(wals_directory)s', 'text', 'notice', 'xlogdb'],
]

/** All of them, by name. */
export const SERVER_OPTIONS: ReadonlyMap<string, BarmanOption> = new Map(
  ROWS.map(([name, scope, standard, kind, standing, reason]) => [
    name,
    {
      name,
      scope,
      standard,
      kind,
      standing,
      because: reason === undefined ? undefined : REASONS[reason],
    },
  ]),
)

/** Options that stand in [barman] only. */
export const GLOBAL_OPTIONS: ReadonlySet<string> = new Set([
  'barman_home',
  'barman_lock_directory',
  'barman_user',
  'config_changes_queue',
  'configuration_files_directory',
  'lock_directory_cleanup',
  'log_file',
  'log_format',
  'log_level',
])

/**
 * Our own: the directory of the repository, instead of the one below barman_home. Barman would warn
 * of it.
 */
export const REPOSITORY_OPTION = 'backstay_repository'

/** Our own: `on` where Backstay's service receives for the server, running or not. */
export const SERVICE_OPTION = 'backstay_service'

/** Options that only say what a section is. */
export const SECTION_OPTIONS: ReadonlySet<string> = new Set([
  'model',
  REPOSITORY_OPTION,
  SERVICE_OPTION,
])
