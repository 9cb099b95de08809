/**
 * Live facts about servers.
 */
import type { BarmanServer } from '../../config/barman/model.ts'
import type { CataloguedBackup } from '../../repository/backup-info.ts'
import type { BarmanContext } from '../context.ts'
import { ctime, prettySize } from '../output/pretty.ts'
import { backupsOf } from '../server/backups.ts'
import { severalServers } from '../server/chosen-servers.ts'
import { type ArchiverFacts, lookAtServer, type SqlFacts } from '../server/look-server.ts'

type StatusRow = readonly [key: string, description: string, value: string]

/** A server that does not answer is said in its line and is no error. */
export async function run(context: BarmanContext): Promise<void> {
  const { output } = context
  for (const server of severalServers(context, { inactive: true, disabled: true })) {
    const backups = await backupsOf(context, server)
    const live = server.isPassive
      ? []
      : liveRows(server, (await lookAtServer(context, server, context.signal)).sql)
    const rows = [...configRows(server), ...live, ...backupRows(server, backups)]
    output.lines(
      `Server ${server.name}:`,
      ...rows.map(([, description, value]) => `\t${description}: ${value}`),
    )
    output.data(
      server.name,
      Object.fromEntries(
        rows.map(([key, description, message]) => [key, { description, message }]),
      ),
    )
  }
}

function configRows(server: BarmanServer): StatusRow[] {
  const description = server.description
  return [
    ...(description === undefined
      ? []
      : [['description', 'Description', description] satisfies StatusRow]),
    ['active', 'Active', pythonBoolean(server.active)],
    ['disabled', 'Disabled', pythonBoolean(server.problems.length > 0)],
    ['active_model', 'Active configuration model', server.activeModel ?? 'None'],
  ]
}

function liveRows(server: BarmanServer, sql: SqlFacts | undefined): StatusRow[] {
  const version = 'PostgreSQL version'
  if (sql === undefined) {
    return [['pg_version', version, 'FAILED trying to get PostgreSQL version']]
  }
  const { sizeBytes, settings, archiver } = sql
  const state = sql.isInRecovery ? 'in archive recovery' : 'in production'
  const rows: (StatusRow | undefined)[] = [
    ['pg_version', version, sql.serverVersion],
    ['is_in_recovery', 'Cluster state', state],
    sizeBytes === undefined
      ? undefined
      : ['current_size', 'Current data size', prettySize(sizeBytes)],
    optionalRow('data_directory', 'PostgreSQL Data directory', settings.get('data_directory')),
    optionalRow('current_xlog', 'Current WAL segment', sql.currentWal),
    ...(server.archiver ? archiverRows(settings.get('archive_command') ?? '', archiver) : []),
  ]
  return rows.filter((row) => row !== undefined)
}

function optionalRow(
  key: string,
  description: string,
  value: string | undefined,
): StatusRow | undefined {
  return value === undefined ? undefined : [key, description, value]
}

function archiverRows(command: string, archiver: ArchiverFacts | undefined): StatusRow[] {
  const rows: StatusRow[] = [['archive_command', "PostgreSQL 'archive_command' setting", command]]
  if (archiver === undefined) return rows
  const { last_archived_wal: last, last_archived_time: at, failed_count: failures } = archiver
  const shipped =
    last === null ? 'No WAL segment shipped yet' : `${last}, at ${ctime(Number(at ?? 0))}`
  const failedAt = archiver.last_failed_time
  const failure =
    failures === 0 || archiver.last_failed_wal === null || failedAt === null
      ? String(failures)
      : `${failures} (${archiver.last_failed_wal} at ${ctime(Number(failedAt))})`
  rows.push(['last_archived_wal', 'Last archived WAL', shipped])
  rows.push(['failed_count', 'Failures of WAL archiver', failure])
  const rate = archiver.current_archived_wals_per_second
  if (rate !== null) {
    const text = `${(rate * 3600).toFixed(2)}/hour`
    rows.push(['server_archived_wals_per_hour', 'Server WAL archiving rate', text])
  }
  return rows
}

function backupRows(server: BarmanServer, backups: readonly CataloguedBackup[]): StatusRow[] {
  const { minimumRedundancy: minimum, retention } = server
  const count = backups.length
  const enforced =
    retention === undefined
      ? 'not enforced'
      : `enforced (mode: auto, retention: ${retention.text}, WAL retention: MAIN)`
  const redundancy = `${count < minimum ? 'FAILED' : 'satisfied'} (${count}/${minimum})`
  return [
    ['passive_node', 'Passive node', pythonBoolean(server.isPassive)],
    ['retention_policies', 'Retention policies', enforced],
    ['backups_number', 'No. of available backups', String(count)],
    ['first_backup', 'First available backup', backups.at(-1)?.info.id ?? 'None'],
    ['last_backup', 'Last available backup', backups[0]?.info.id ?? 'None'],
    ['minimum_redundancy', 'Minimum redundancy requirements', redundancy],
    ...primaryRows(server),
  ]
}

function primaryRows({ primarySshCommand: command }: BarmanServer): StatusRow[] {
  return command === undefined
    ? []
    : [['primary_ssh_command', 'SSH command to primary server', command]]
}

function pythonBoolean(value: boolean): string {
  return value ? 'True' : 'False'
}
