/**
 * Lists the backups of servers, newest first.
 */
import type { BarmanServer } from '../../config/barman/model.ts'
import type { CataloguedBackup } from '../../repository/backup-info.ts'
import { listBackups } from '../../repository/catalogue.ts'
import type { BarmanContext } from '../context.ts'
import { ctime, prettySize } from '../output/pretty.ts'
import type { Json } from '../output/python-json.ts'
import { openServer } from '../server/barman-place.ts'
import { type RetentionStatus, retentionStatuses } from '../server/retention-status.ts'
import { severalServers } from '../server/chosen-servers.ts'
import { heldSegments, walOfBackup } from '../server/wal-of-backup.ts'

interface BackupRow {
  readonly backup: CataloguedBackup
  readonly walBytes: number
  readonly retention: RetentionStatus
}

/** @throws {BackstayError} REPOSITORY_DAMAGED, STORE */
export async function run(context: BarmanContext): Promise<void> {
  const { output, options } = context
  for (const server of severalServers(context, { inactive: true, disabled: true })) {
    const rows = await rowsOf(context, server)
    output.data(
      server.name,
      options.minimal === true ? rows.map(({ backup }) => backup.info.id) : rows.map(rowJson),
    )
    if (options.minimal === true) output.lines(...rows.map(({ backup }) => backup.info.id))
    else output.lines(...rows.map((row) => rowText(server, row)))
  }
}

async function rowsOf(context: BarmanContext, server: BarmanServer): Promise<BackupRow[]> {
  const repository = await openServer(context, server)
  if (repository === undefined) return []
  const backups = await listBackups(repository)
  if (context.options.minimal === true) {
    return backups.map((backup) => ({ backup, walBytes: 0, retention: '-' }))
  }
  const statuses = await retentionStatuses(repository, server, backups)
  const held = await heldSegments(repository)
  return backups.map((backup, index) => ({
    backup,
    walBytes: walOfBackup(backup.info, backups[index - 1]?.info, held).after.bytes,
    retention: statuses.get(backup.info.id) ?? '-',
  }))
}

function rowText(server: BarmanServer, { backup, walBytes, retention }: BackupRow): string {
  const { id, label, finishedAt, bytes } = backup.info
  const name = label === null ? '' : ` '${label}'`
  const shown = ['VALID', '-'].includes(retention) ? '' : ` - ${retention}`
  const sizes = `Size: ${prettySize(bytes.database)} - WAL Size: ${prettySize(walBytes)}`
  return `${server.name} ${id}${name} - F - ${ctime(Date.parse(finishedAt))} - ${sizes}${shown}`
}

function rowJson({ backup, walBytes, retention }: BackupRow): Json {
  const { id, label, finishedAt, bytes } = backup.info
  const endedAtMs = Date.parse(finishedAt)
  return {
    backup_id: id,
    ...(label === null ? {} : { backup_name: label }),
    backup_type: 'full',
    end_time: ctime(endedAtMs),
    end_time_timestamp: String(Math.floor(endedAtMs / 1000)),
    retention_status: retention === 'VALID' ? '-' : retention,
    size: prettySize(bytes.database),
    size_bytes: bytes.database,
    status: 'DONE',
    wal_size: prettySize(walBytes),
    wal_size_bytes: walBytes,
  }
}
