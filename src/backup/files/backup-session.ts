/**
 * PostgreSQL's own frame for a backup of files: between pg_backup_start and pg_backup_stop
 * (pg_start_backup and pg_stop_backup up to 14) it logs pages whole, so that what was read torn is
 * mended by replay. The session has to last; with it the backup is over.
 */
import { parseBackupLabel } from '../../postgres/backup-label.ts'
import type { Lsn } from '../../postgres/lsn.ts'
import { versionFacts } from '../../postgres/version.ts'
import type { SqlClient } from '../../wire/sql-client.ts'

/** How a backup of files begins. */
export interface BackupSessionWish {
  readonly label: string
  readonly checkpoint: 'fast' | 'spread'
}

/** A backup that has begun. */
export interface BegunBackup {
  readonly startLsn: Lsn
  readonly timeline: number
}

/** What the server says of a backup that has ended. */
export interface EndedBackup {
  readonly endLsn: Lsn
  readonly timeline: number
  /** Content of backup_label. */
  readonly backupLabel: string
}

/**
 * Begins it on `sql`, which must then be left to it.
 * @throws {BackstayError} POSTGRES_QUERY where the role may not, or the server is no hot standby
 */
export async function startBackup(
  sql: SqlClient,
  { label, checkpoint }: BackupSessionWish,
): Promise<BegunBackup> {
  const call = versionFacts(sql.major).backupStartFunctions
    ? 'pg_backup_start($1, $2)'
    : 'pg_start_backup($1, $2, exclusive => false)'
  const { startLsn } = await sql.one<{ startLsn: Lsn }>(`SELECT ${call} AS "startLsn"`, [
    label,
    checkpoint === 'fast',
  ])
  const { timeline } = await sql.one<{ timeline: number }>(
    'SELECT timeline_id AS timeline FROM pg_control_checkpoint()',
  )
  return { startLsn, timeline }
}

/**
 * Ends it. The WAL it needs is waited for by whoever stores it, not by the server.
 * @throws {BackstayError} POSTGRES_QUERY when the server was promoted meanwhile, or WAL without
 * whole pages was replayed; POSTGRES_CONNECTION_LOST when it ended
 */
export async function stopBackup(sql: SqlClient): Promise<EndedBackup> {
  const call = versionFacts(sql.major).backupStartFunctions
    ? 'pg_backup_stop(wait_for_archive => false)'
    : 'pg_stop_backup(exclusive => false, wait_for_archive => false)'
  const stopped = await sql.one<{ endLsn: Lsn; label: string }>(
    `SELECT lsn AS "endLsn", labelfile AS label FROM ${call}`,
  )
  const { timeline } = await sql.one<{ timeline: number | null }>(
    `SELECT CASE WHEN pg_is_in_recovery() THEN (SELECT min_recovery_end_timeline FROM pg_control_recovery()) END AS timeline`,
  )
  return {
    endLsn: stopped.endLsn,
    timeline: timeline ?? parseBackupLabel(stopped.label).startTimeline,
    backupLabel: stopped.label,
  }
}
