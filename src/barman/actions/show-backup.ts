/**
 * Shows one backup.
 */
import { printableWord } from '../../errors/printable.ts'
import { formatLsn, type Lsn, toLsn } from '../../postgres/lsn.ts'
import type { BackupInfo } from '../../repository/backup-info.ts'
import type { BarmanContext } from '../context.ts'
import { isoTime, prettySize, prettySpan } from '../output/pretty.ts'
import type { Json } from '../output/python-json.ts'
import { findServerBackup } from '../server/backups.ts'
import { oneServer } from '../server/chosen-servers.ts'
import { type ShownBackup, showBackup } from '../server/shown-backup.ts'
import { segmentAt, type WalCount } from '../server/wal-of-backup.ts'

type ShownRow = readonly [name: string, value: string]

const OLDEST = '- (this is the oldest base backup)'
const LATEST = '- (this is the latest base backup)'

/** @throws {BackstayError} STORE, REPOSITORY_DAMAGED */
export async function run(context: BarmanContext): Promise<void> {
  const { output, words } = context
  const server = oneServer(context, { inactive: true, disabled: true })
  if (server === undefined) return
  const found = await findServerBackup(context, server, words[1] ?? '')
  if (found === undefined) return
  const shown = await showBackup(server, found)
  output.lines(...textOf(server.name, shown))
  output.data(server.name, jsonOf(shown))
}

function textOf(server: string, shown: ShownBackup): string[] {
  const { info, after, timelines } = shown
  return [
    `Backup ${info.id}:`,
    ...generalRows(server, info).map(([name, value]) => `  ${name.padEnd(23)}: ${value}`),
    ...section('Server information', [['Checksums', info.postgres.dataChecksums ? 'on' : 'off']]),
    ...section(
      'Tablespaces',
      info.tablespaces.map(({ oid, location }) => [String(oid), `${location} (oid: ${oid})`]),
    ),
    ...section('Base backup information', backupRows(shown)),
    ...section('WAL information', [
      ['Number of files', String(after.files)],
      ['Disk usage', prettySize(after.bytes)],
      ...ratioRow('Compression ratio', after),
      ['Last available', after.last ?? shown.own.last ?? 'None'],
      ...(timelines.length === 0
        ? []
        : [['Reachable timelines', timelines.join(', ')] satisfies ShownRow]),
    ]),
    ...section('Catalog information', [
      ['Retention Policy', shown.retention],
      ['Previous Backup', shown.older ?? OLDEST],
      ['Next Backup', shown.newer ?? LATEST],
    ]),
  ]
}

function generalRows(server: string, info: BackupInfo): ShownRow[] {
  return [
    ...(info.label === null ? [] : [['Backup Name', printableWord(info.label)] satisfies ShownRow]),
    ['Server Name', server],
    ['System Id', info.postgres.systemIdentifier],
    ['Status', 'DONE'],
    ['PostgreSQL Version', String(info.postgres.versionNumber)],
    ['Estimated Cluster Size', prettySize(info.bytes.database)],
  ]
}

function section(title: string, rows: readonly ShownRow[]): string[] {
  if (rows.length === 0) return []
  return ['', `  ${title}:`, ...rows.map(([name, value]) => `    ${name.padEnd(21)}: ${value}`)]
}

function backupRows({ info, own }: ShownBackup): ShownRow[] {
  const { database, stored } = info.bytes
  const tookMs = Date.parse(info.finishedAt) - Date.parse(info.startedAt)
  const withWal = prettySize(database + own.bytes)
  return [
    ['Backup Method', 'postgres'],
    ['Backup Type', 'full'],
    ['Backup Size', `${prettySize(database)} (${withWal} with WALs)`],
    ['WAL Size', prettySize(own.bytes)],
    ['Resources saved', `${prettySize(database - stored)} (${percent(database, stored)})`],
    ['Timeline', String(info.timeline)],
    ['Begin WAL', segmentAt(info.startLsn, info)],
    ['End WAL', segmentAt(toLsn(info.stopLsn - 1n), info)],
    ['Number of WALs', String(own.files)],
    ...ratioRow('WAL compression ratio', own),
    ['Begin time', isoTime(Date.parse(info.startedAt))],
    ['End time', isoTime(Date.parse(info.finishedAt))],
    ['Copy time', prettySpan(tookMs)],
    ['Estimated throughput', `${prettySize((database * 1000) / Math.max(1, tookMs))}/s`],
    ['Begin Offset', String(offsetOf(info.startLsn, info))],
    ['End Offset', String(offsetOf(info.stopLsn, info))],
    ['Begin LSN', formatLsn(info.startLsn)],
    ['End LSN', formatLsn(info.stopLsn)],
  ]
}

function offsetOf(lsn: Lsn, info: BackupInfo): number {
  return Number(lsn % BigInt(info.postgres.segmentBytes))
}

function percent(whole: number, part: number): string {
  return `${(whole === 0 ? 0 : (100 * (whole - part)) / whole).toFixed(2)}%`
}

function ratioRow(name: string, wal: WalCount): ShownRow[] {
  return wal.rawBytes === 0 ? [] : [[name, percent(wal.rawBytes, wal.bytes)]]
}

function jsonOf(shown: ShownBackup): Json {
  const { info, own, after, timelines } = shown
  const { bytes, postgres } = info
  return {
    backup_id: info.id,
    ...(info.label === null ? {} : { backup_name: info.label }),
    backup_type: 'full',
    base_backup_information: backupJson(shown),
    catalog_information: {
      children_backup_ids: null,
      next_backup: shown.newer ?? LATEST,
      previous_backup: shown.older ?? OLDEST,
      retention_policy: shown.retention,
    },
    cluster_size: prettySize(bytes.database),
    cluster_size_bytes: bytes.database,
    pgdata_directory: null,
    postgresql_version: postgres.versionNumber,
    server_information: {
      data_checksums: postgres.dataChecksums ? 'on' : 'off',
      summarize_wal: null,
    },
    status: 'DONE',
    system_id: postgres.systemIdentifier,
    tablespaces: info.tablespaces.map(({ oid, location }) => ({
      location,
      name: String(oid),
      oid,
    })),
    wal_information: {
      compression_ratio: after.rawBytes === 0 ? 0 : 1 - after.bytes / after.rawBytes,
      disk_usage: prettySize(after.bytes),
      disk_usage_bytes: after.bytes,
      last_available: after.last ?? own.last ?? null,
      no_of_files: after.files,
      timelines,
      wal_rate: 0,
      wal_rate_per_second: 0,
    },
  }
}

function backupJson({ info, own }: ShownBackup): Json {
  const { database } = info.bytes
  const [beganMs, endedMs] = [Date.parse(info.startedAt), Date.parse(info.finishedAt)]
  const tookMs = endedMs - beganMs
  const throughput = Math.round((database * 1000) / Math.max(1, tookMs))
  return {
    backup_method: 'postgres',
    backup_size: prettySize(database),
    backup_size_bytes: database,
    backup_size_with_wals: prettySize(database + own.bytes),
    backup_size_with_wals_bytes: database + own.bytes,
    begin_lsn: formatLsn(info.startLsn),
    begin_offset: offsetOf(info.startLsn, info),
    begin_time: isoTime(beganMs),
    begin_time_timestamp: String(Math.floor(beganMs / 1000)),
    begin_wal: segmentAt(info.startLsn, info),
    compression: null,
    copy_time: prettySpan(tookMs),
    copy_time_seconds: tookMs / 1000,
    encryption: null,
    end_lsn: formatLsn(info.stopLsn),
    end_offset: offsetOf(info.stopLsn, info),
    end_time: isoTime(endedMs),
    end_time_timestamp: String(Math.floor(endedMs / 1000)),
    end_wal: segmentAt(toLsn(info.stopLsn - 1n), info),
    number_of_workers: 1,
    throughput: `${prettySize(throughput)}/s`,
    throughput_bytes: throughput,
    timeline: info.timeline,
    ...(own.rawBytes === 0 ? {} : { wal_compression_ratio: percent(own.rawBytes, own.bytes) }),
    wal_num: own.files,
    wal_size: prettySize(own.bytes),
    wal_size_bytes: own.bytes,
  }
}
