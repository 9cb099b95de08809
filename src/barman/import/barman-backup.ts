/**
 * One backup of Barman as its metadata file says it. Source: the format as documented and as found
 * in files of Barman 3.4 to 3.20.
 */
import { type Lsn, parseLsn } from '../../postgres/lsn.ts'
import { DEFAULT_SEGMENT_BYTES, isSegmentBytes } from '../../postgres/segment-name.ts'
import type { BackupTablespace, KeepTarget } from '../../repository/backup-info.ts'
import { parsePythonLiteral } from './python-literal.ts'

/** What is known of it before its data is looked at. */
export interface BarmanBackup {
  /** `YYYYMMDDTHHMMSS` in the time zone Barman had. */
  readonly id: string
  /** Its folder: `<basebackups_directory>/<id>`. */
  readonly directory: string
  readonly name: string | undefined
  /** Barman's word: `DONE`, `FAILED`, … */
  readonly status: string
  /** As `server_version_num`. */
  readonly versionNumber: number
  /** Decimal; older files do not have it. */
  readonly systemIdentifier: string | undefined
  readonly segmentBytes: number
  /** Whether pages have checksums; older files do not say it. */
  readonly dataChecksums: boolean | undefined
  readonly timeline: number
  readonly startLsn: Lsn
  readonly stopLsn: Lsn
  readonly startedAt: Date
  readonly finishedAt: Date
  readonly tablespaces: readonly BackupTablespace[]
  /** Content of backup_label; undefined when the file is among the data. */
  readonly label: string | undefined
  /** Of a block-incremental backup. */
  readonly parent: string | undefined
  readonly isEncrypted: boolean
  /** Of the data, in bytes; undefined when it is not known. */
  readonly sizeBytes: number | undefined
  readonly keep: KeepTarget | undefined
}

/** Where the metadata was found. */
export interface BarmanBackupPlace {
  readonly id: string
  readonly directory: string
  readonly keep: KeepTarget | undefined
}

/**
 * Reads backup.info. A backup that never got far has a status only: then what is said is why
 * nothing can be imported.
 */
export function parseBarmanBackup(text: string, place: BarmanBackupPlace): BarmanBackup | string {
  const fields = readFields(text)
  const status = fields.get('status') ?? 'unknown'
  if (status !== 'DONE' && status !== 'WAITING_FOR_WALS') return `Barman calls it ${status}`
  const span = spanOf(fields)
  if (span === undefined) return 'its metadata does not say where it begins and ends'
  const versionNumber = wholeOf(fields, 'version')
  if (versionNumber === undefined) return 'its metadata says no version'
  const segmentBytes = wholeOf(fields, 'xlog_segment_size') ?? DEFAULT_SEGMENT_BYTES
  if (!isSegmentBytes(segmentBytes)) return `no WAL segment has ${segmentBytes} bytes`
  const tablespaces = parseTablespaces(fields.get('tablespaces'))
  if (tablespaces === undefined) return 'its list of tablespaces cannot be read'
  const label = parsePythonLiteral(fields.get('backup_label') ?? '')
  const checksums = fields.get('data_checksums')
  return {
    ...place,
    ...span,
    name: fields.get('backup_name'),
    status,
    versionNumber,
    systemIdentifier: /^\d{1,20}$/.exec(fields.get('systemid') ?? '')?.[0],
    segmentBytes,
    dataChecksums: checksums === undefined ? undefined : checksums === 'on',
    tablespaces,
    label: typeof label === 'string' ? label : undefined,
    parent: fields.get('parent_backup_id'),
    isEncrypted: !['none', undefined].includes(fields.get('encryption')),
    sizeBytes: wholeOf(fields, 'size'),
  }
}

type Span = Pick<BarmanBackup, 'timeline' | 'startLsn' | 'stopLsn' | 'startedAt' | 'finishedAt'>

function spanOf(fields: ReadonlyMap<string, string>): Span | undefined {
  const startLsn = parseLsn(fields.get('begin_xlog') ?? '')
  const stopLsn = parseLsn(fields.get('end_xlog') ?? '')
  const startedAt = parseTime(fields.get('begin_time'))
  const finishedAt = parseTime(fields.get('end_time'))
  const timeline = wholeOf(fields, 'timeline')
  if (startLsn === undefined || stopLsn === undefined || timeline === undefined) return undefined
  if (startedAt === undefined || finishedAt === undefined) return undefined
  return { timeline, startLsn, stopLsn, startedAt, finishedAt }
}

/** `key=value` lines; `None` is the same as nothing. */
function readFields(text: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>()
  for (const line of text.split('\n')) {
    const at = line.indexOf('=')
    const value = line.slice(at + 1).trim()
    if (at > 0 && value !== '' && value !== 'None') fields.set(line.slice(0, at).trim(), value)
  }
  return fields
}

function wholeOf(fields: ReadonlyMap<string, string>, key: string): number | undefined {
  const text = fields.get(key) ?? ''
  return /^\d+$/.test(text) ? Number(text) : undefined
}

/** `2026-11-22 07:24:45.974966+00:00`; without a zone it is this machine's. */
function parseTime(text: string | undefined): Date | undefined {
  const match = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d{1,3})?\d*([+-]\d\d:\d\d)?$/.exec(
    text ?? '',
  )
  if (match === null) return undefined
  const [, day = '', time = '', fraction = '', zone = ''] = match
  const date = new Date(`${day}T${time}${fraction}${zone}`)
  return Number.isNaN(date.getTime()) ? undefined : date
}

function isOid(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) > 0 && Number(value) <= 0xffff_ffff
}

/** `[('name', 16387, '/path')]`. */
function parseTablespaces(text: string | undefined): BackupTablespace[] | undefined {
  if (text === undefined) return []
  const value = parsePythonLiteral(text)
  if (!Array.isArray(value)) return undefined
  const rows = (value as readonly unknown[]).map((row) => {
    const [, oid, location] = Array.isArray(row) ? (row as readonly unknown[]) : []
    return isOid(oid) && typeof location === 'string' ? { oid, location } : undefined
  })
  return rows.every((row) => row !== undefined) ? rows : undefined
}
