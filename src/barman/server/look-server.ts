/**
 * What a server says of itself, for check, status and show-servers. Everything is asked with
 * statements that change nothing.
 */
import type { BarmanServer } from '../../config/barman/model.ts'
import { BackstayError } from '../../errors/backstay-error.ts'
import type { Lsn } from '../../postgres/lsn.ts'
import { versionFacts } from '../../postgres/version.ts'
import { SqlClient } from '../../wire/sql-client.ts'
import type { BarmanContext } from '../context.ts'
import { askIdentity, type StreamIdentity } from './ask-identity.ts'
import { backupConnection, sqlConnection } from './connections.ts'

/** The row of pg_stat_archiver, by Barman's names; the rate is per second. */
export interface ArchiverFacts {
  readonly archived_count: number
  readonly last_archived_wal: string | null
  readonly last_archived_time: Date | null
  readonly failed_count: number
  readonly last_failed_wal: string | null
  readonly last_failed_time: Date | null
  readonly is_archiving: boolean
  readonly current_archived_wals_per_second: number | null
}

/** A server's answers over SQL. */
export interface SqlFacts {
  readonly serverVersion: string
  readonly major: number
  readonly isSuperuser: boolean
  readonly hasBackupPrivileges: boolean
  readonly isInRecovery: boolean
  readonly settings: ReadonlyMap<string, string>
  readonly sizeBytes: number | undefined
  readonly lsn: Lsn | undefined
  readonly currentWal: string | undefined
  readonly archiver: ArchiverFacts | undefined
  /** Undefined when there is none of that name. */
  readonly slot: { readonly active: boolean; readonly restartLsn: Lsn | null } | undefined
  readonly systemIdentifier: string | undefined
}

/**
 * The way over SQL and the one over the replication protocol, each with its answer or its error.
 */
export interface ServerLook {
  readonly sql: SqlFacts | undefined
  readonly sqlError: string | undefined
  readonly stream: StreamIdentity | undefined
  readonly streamError: string | undefined
}

/** A passive server is its primary's to ask. */
const NOT_ASKED: ServerLook = {
  sql: undefined,
  sqlError: undefined,
  stream: undefined,
  streamError: undefined,
}

const SETTINGS = [
  'archive_command',
  'archive_mode',
  'archive_timeout',
  'checkpoint_timeout',
  'config_file',
  'data_checksums',
  'data_directory',
  'hba_file',
  'hot_standby',
  'ident_file',
  'max_replication_slots',
  'max_wal_senders',
  'synchronous_standby_names',
  'wal_compression',
  'wal_level',
  'wal_segment_size',
]

/** Asks both ways at once. Never throws for a server that does not answer. */
export async function lookAtServer(
  context: BarmanContext,
  server: BarmanServer,
  signal: AbortSignal,
): Promise<ServerLook> {
  if (server.isPassive) return NOT_ASKED
  const { environment } = context
  const [sql, stream] = await Promise.allSettled([
    server.conninfo === undefined ? undefined : lookOverSql(server, environment, signal),
    (server.streamingConninfo ?? '') === ''
      ? undefined
      : (async () => askIdentity(backupConnection(server, environment), signal))(),
  ])
  context.signal.throwIfAborted()
  return {
    sql: sql.status === 'fulfilled' ? sql.value : undefined,
    sqlError: sql.status === 'rejected' ? describe(sql.reason) : undefined,
    stream: stream.status === 'fulfilled' ? stream.value : undefined,
    streamError: stream.status === 'rejected' ? describe(stream.reason) : undefined,
  }
}

function describe(error: unknown): string {
  if (error instanceof BackstayError) return error.message
  if (error instanceof Error && error.name === 'TimeoutError') return 'it did not answer in time'
  throw error
}

async function lookOverSql(
  server: BarmanServer,
  environment: BarmanContext['environment'],
  signal: AbortSignal,
): Promise<SqlFacts> {
  await using sql = await SqlClient.connect({ ...sqlConnection(server, environment), signal })
  const role = await roleOf(sql)
  const isPrimary = !role.isInRecovery
  return {
    serverVersion: sql.serverVersion.split(' ')[0] ?? '',
    major: sql.major,
    ...role,
    settings: await settingsOf(sql),
    ...(await sizeOf(sql)),
    ...(await positionOf(sql, isPrimary)),
    archiver: isPrimary ? await archiverOf(sql) : undefined,
    slot: server.slotName === undefined ? undefined : await slotOf(sql, server.slotName),
    systemIdentifier: await identifierOf(sql),
  }
}

type Role = Pick<SqlFacts, 'isSuperuser' | 'hasBackupPrivileges' | 'isInRecovery'>

async function roleOf(sql: SqlClient): Promise<Role> {
  const backup = versionFacts(sql.major).backupStartFunctions
    ? 'pg_backup_start(text,boolean)'
    : 'pg_start_backup(text,boolean,boolean)'
  return await sql.one<Role & object>(
    `SELECT rolsuper AS "isSuperuser", pg_is_in_recovery() AS "isInRecovery",
      rolsuper OR (has_function_privilege($1, 'EXECUTE')
        AND has_function_privilege('pg_switch_wal()', 'EXECUTE')
        AND has_function_privilege('pg_create_restore_point(text)', 'EXECUTE')
        AND pg_has_role('pg_read_all_settings', 'MEMBER')) AS "hasBackupPrivileges"
    FROM pg_roles WHERE rolname = current_user`,
    [backup],
  )
}

async function settingsOf(sql: SqlClient): Promise<ReadonlyMap<string, string>> {
  const rows = await sql.query<{ name: string; setting: string }>(
    'SELECT name, setting FROM pg_settings WHERE name = ANY($1)',
    [SETTINGS],
  )
  return new Map(rows.map(({ name, setting }) => [name, setting]))
}

/** Needs CONNECT on every database or pg_read_all_stats; without, it is not known. */
async function sizeOf(sql: SqlClient): Promise<Pick<SqlFacts, 'sizeBytes'>> {
  const rows = await sql
    .query<{ bytes: number | string }>(
      'SELECT sum(pg_tablespace_size(oid))::bigint AS bytes FROM pg_tablespace',
    )
    .catch(ignoreRefusal)
  const bytes = rows[0]?.bytes
  return { sizeBytes: bytes === undefined ? undefined : Number(bytes) }
}

async function positionOf(
  sql: SqlClient,
  isPrimary: boolean,
): Promise<Pick<SqlFacts, 'lsn' | 'currentWal'>> {
  const asked = isPrimary
    ? 'SELECT pg_current_wal_lsn() AS lsn, pg_walfile_name(pg_current_wal_lsn()) AS name'
    : 'SELECT pg_last_wal_replay_lsn() AS lsn, NULL AS name'
  const { lsn, name } = await sql.one<{ lsn: Lsn | null; name: string | null }>(asked)
  return { lsn: lsn ?? undefined, currentWal: name ?? undefined }
}

async function archiverOf(sql: SqlClient): Promise<ArchiverFacts | undefined> {
  const [row] = await sql.query<ArchiverFacts>(`
    SELECT archived_count, last_archived_wal, last_archived_time, failed_count, last_failed_wal,
      last_failed_time,
      current_setting('archive_mode') <> 'off'
        AND (last_failed_wal IS NULL OR coalesce(last_archived_time > last_failed_time, false))
        AS is_archiving,
      (archived_count / nullif(extract(epoch FROM age(now(), stats_reset)), 0))::float8
        AS current_archived_wals_per_second
    FROM pg_stat_archiver`)
  return row
}

async function slotOf(sql: SqlClient, name: string): Promise<SqlFacts['slot']> {
  const [row] = await sql.query<{ active: boolean; restartLsn: Lsn | null }>(
    `SELECT active, restart_lsn AS "restartLsn" FROM pg_replication_slots
     WHERE slot_name = $1 AND slot_type = 'physical'`,
    [name],
  )
  return row
}

async function identifierOf(sql: SqlClient): Promise<string | undefined> {
  const rows = await sql
    .query<{ id: string }>('SELECT system_identifier::text AS id FROM pg_control_system()')
    .catch(ignoreRefusal)
  return rows[0]?.id
}

/** What a role may not ask stays unknown. */
function ignoreRefusal(error: unknown): never[] {
  if (error instanceof BackstayError && error.code === 'POSTGRES_QUERY') return []
  throw error
}
