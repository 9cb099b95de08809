/**
 * `backup_label`, the file that makes a server recover from a base backup's start instead of from
 * pg_control, and the backup history file, which adds where the backup ended. Both are `NAME:
 * value` lines. Source: PostgreSQL src/backend/access/transam/xlogbackup.c (build_backup_content),
 * xlogrecovery.c (read_backup_label).
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { formatLsn, type Lsn, parseLsn } from './lsn.ts'

/** A backup's beginning, and in a history file its end. */
export interface BackupLabel {
  readonly startLsn: Lsn
  /** Name of the segment that holds `startLsn`. */
  readonly startSegment: string
  readonly checkpointLsn: Lsn
  /**
   * `streamed` for BASE_BACKUP and pg_backup_start; `pg_start_backup` for the exclusive backups of
   * old.
   */
  readonly method: string
  readonly from: 'primary' | 'standby'
  /** As written, in the server's log time zone. */
  readonly startTime: string
  readonly label: string
  readonly startTimeline: number
  /** Of an incremental backup (17+): what it builds on. */
  readonly incrementalFrom?: { readonly lsn: Lsn; readonly timeline: number }
  /** Only in a history file. */
  readonly stop?: {
    readonly lsn: Lsn
    readonly segment: string
    readonly time: string
    readonly timeline: number
  }
}

/**
 * Reads a backup_label or a backup history file. Lines of unknown names are ignored, as PostgreSQL
 * does.
 * @throws {BackstayError} POSTGRES_FILE_INVALID when a line that every such file has is missing or
 * malformed.
 */
export function parseBackupLabel(text: string): BackupLabel {
  const lines = new Map<string, string>()
  for (const [, name = '', value = ''] of text.matchAll(/^([A-Z ]+): (.*?)\r?$/gm)) {
    lines.set(name, value)
  }
  const start = location(lines, 'START WAL LOCATION')
  const incrementalLsn = lines.get('INCREMENTAL FROM LSN')
  return {
    startLsn: start.lsn,
    startSegment: start.segment,
    checkpointLsn: lsn(lines, 'CHECKPOINT LOCATION'),
    method: required(lines, 'BACKUP METHOD'),
    // Before PostgreSQL 14 a standby is called by another word; nothing else can stand here.
    from: required(lines, 'BACKUP FROM') === 'standby' ? 'standby' : 'primary',
    startTime: required(lines, 'START TIME'),
    label: required(lines, 'LABEL'),
    startTimeline: timeline(lines, 'START TIMELINE'),
    ...(incrementalLsn !== undefined && {
      incrementalFrom: {
        lsn: lsn(lines, 'INCREMENTAL FROM LSN'),
        timeline: timeline(lines, 'INCREMENTAL FROM TLI'),
      },
    }),
    ...(lines.has('STOP WAL LOCATION') && { stop: readStop(lines) }),
  }
}

/** Writes the file as PostgreSQL does: a history file when `stop` is there, else a backup_label. */
export function formatBackupLabel(label: BackupLabel): string {
  const { stop, incrementalFrom } = label
  const lines = [
    `START WAL LOCATION: ${formatLsn(label.startLsn)} (file ${label.startSegment})`,
    stop && `STOP WAL LOCATION: ${formatLsn(stop.lsn)} (file ${stop.segment})`,
    `CHECKPOINT LOCATION: ${formatLsn(label.checkpointLsn)}`,
    `BACKUP METHOD: ${label.method}`,
    `BACKUP FROM: ${label.from}`,
    `START TIME: ${label.startTime}`,
    `LABEL: ${label.label}`,
    `START TIMELINE: ${label.startTimeline}`,
    stop && `STOP TIME: ${stop.time}`,
    stop && `STOP TIMELINE: ${stop.timeline}`,
    incrementalFrom && `INCREMENTAL FROM LSN: ${formatLsn(incrementalFrom.lsn)}`,
    incrementalFrom && `INCREMENTAL FROM TLI: ${incrementalFrom.timeline}`,
  ]
  return lines
    .filter((line) => line !== undefined)
    .map((line) => `${line}\n`)
    .join('')
}

type LabelLines = ReadonlyMap<string, string>

function readStop(lines: LabelLines): NonNullable<BackupLabel['stop']> {
  const stop = location(lines, 'STOP WAL LOCATION')
  return {
    ...stop,
    time: required(lines, 'STOP TIME'),
    timeline: timeline(lines, 'STOP TIMELINE'),
  }
}

function required(lines: LabelLines, name: string): string {
  const value = lines.get(name)
  if (value === undefined) throw invalid(`it has no line "${name}"`)
  return value
}

function location(lines: LabelLines, name: string): { lsn: Lsn; segment: string } {
  const match = /^(\S+) \(file ([0-9A-F]{24})\)$/.exec(required(lines, name))
  const position = parseLsn(match?.[1] ?? '')
  if (match === null || position === undefined) throw malformed(name)
  return { lsn: position, segment: match[2] ?? '' }
}

function lsn(lines: LabelLines, name: string): Lsn {
  const position = parseLsn(required(lines, name))
  if (position === undefined) throw malformed(name)
  return position
}

function timeline(lines: LabelLines, name: string): number {
  const text = required(lines, name)
  if (!/^\d+$/.test(text)) throw malformed(name)
  return Number(text)
}

function malformed(name: string): BackstayError {
  return invalid(`its line "${name}" is malformed`)
}

function invalid(problem: string): BackstayError {
  return new BackstayError('POSTGRES_FILE_INVALID', `Cannot read backup_label: ${problem}`)
}
