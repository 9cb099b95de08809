/**
 * All that is configured and known of a server, by the keys of show-servers.
 */
import type { BarmanServer } from '../../config/barman/model.ts'
import { SERVER_OPTIONS } from '../../config/barman/options.ts'
import { parseBoolean } from '../../config/barman/values.ts'
import { formatLsn } from '../../postgres/lsn.ts'
import type { ServerLook } from './look-server.ts'

/** Python's words for values: `True`, `None`. Sorted by key. */
export function describedServer(server: BarmanServer, look: ServerLook): [string, string][] {
  const configured = [...server.options].map(([key, text]): [string, string] => [
    key,
    text === undefined ? 'None' : configuredText(key, text),
  ])
  const rows = [
    ...configured,
    ['active_model', server.activeModel ?? 'None'],
    ['disabled', python(server.problems.length > 0)],
    ['name', server.name],
    ['passive_node', python(server.isPassive)],
    ...liveRows(look),
  ] as [string, string][]
  return [...new Map(rows)].sort(([a], [b]) => (a < b ? -1 : 1))
}

function configuredText(key: string, text: string): string {
  const isBoolean = SERVER_OPTIONS.get(key)?.kind === 'boolean'
  return isBoolean ? python(parseBoolean(text)) : text
}

function liveRows({ sql, sqlError, stream, streamError }: ServerLook): [string, string][] {
  const rows: [string, unknown][] = [
    ['connection_error', sqlError],
    ['streaming', stream !== undefined],
    ['streaming_connection_error', streamError],
    ['streaming_systemid', stream?.systemIdentifier],
    ['timeline', stream?.timeline],
  ]
  if (sql === undefined) return rows.map(([key, value]) => [key, python(value)])
  rows.push(
    ...sql.settings,
    ['current_lsn', sql.lsn === undefined ? undefined : formatLsn(sql.lsn)],
    ['current_size', sql.sizeBytes],
    ['current_xlog', sql.currentWal],
    ['has_backup_privileges', sql.hasBackupPrivileges],
    ['is_in_recovery', sql.isInRecovery],
    ['is_superuser', sql.isSuperuser],
    ['postgres_systemid', sql.systemIdentifier],
    ['server_txt_version', sql.serverVersion],
  )
  if (sql.archiver !== undefined) rows.push(...Object.entries(sql.archiver))
  return rows.map(([key, value]) => [key, python(value)])
}

function python(value: unknown): string {
  if (value === undefined || value === null) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (value instanceof Date) return value.toISOString()
  return typeof value === 'string' ? value : JSON.stringify(value)
}
