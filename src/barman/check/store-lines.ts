/**
 * The lines of a check about what is stored: directories, ages, sizes, redundancy, files set aside.
 */
import { access, constants, mkdir, readdir } from 'node:fs/promises'
import type { BarmanServer } from '../../config/barman/model.ts'
import type { CataloguedBackup } from '../../repository/backup-info.ts'
import { segmentStart } from '../../postgres/segment-name.ts'
import { prettySize, prettySpan } from '../output/pretty.ts'
import type { HeldSegment } from '../server/wal-of-backup.ts'
import { type CheckLine, failed, judge, ok } from './strategy.ts'

/** What is known of a server's place. */
export interface StoredFacts {
  /** Newest first. */
  readonly backups: readonly CataloguedBackup[]
  readonly damaged: number
  readonly held: readonly HeldSegment[]
  /** When the newest segment came; undefined when there is none. */
  readonly lastWalAtMs: number | undefined
  readonly nowMs: number
}

/** The directories a server needs exist and can be written to; those missing are made. */
export async function directoriesLine(
  server: BarmanServer,
  repositoryDirectory: string,
): Promise<CheckLine> {
  for (const path of [repositoryDirectory, server.incomingDirectory, server.errorsDirectory]) {
    try {
      await mkdir(path, { recursive: true, mode: 0o700 })
      await access(path, constants.R_OK | constants.W_OK | constants.X_OK)
    } catch (error) {
      return failed('directories', `${path}: ${(error as Error).message}`)
    }
  }
  return ok('directories')
}

/** From `retention policy settings` to `minimum redundancy requirements`. */
export function storedLines(server: BarmanServer, facts: StoredFacts): CheckLine[] {
  const { backups, damaged } = facts
  const minimum = server.minimumRedundancy
  return [
    ok('retention policy settings'),
    backupAgeLine(server, facts),
    backupSizeLine(server, backups),
    walAgeLine(server, facts),
    ok('wal size', prettySize(walAfterLastBackup(facts))),
    ok('compression settings'),
    {
      name: 'failed backups',
      isOk: damaged === 0,
      hint: `there are ${damaged} failed backups`,
    },
    {
      name: 'minimum redundancy requirements',
      isOk: backups.length >= minimum,
      hint: `have ${backups.length} non-incremental backups, expected at least ${minimum}`,
    },
  ]
}

function backupAgeLine(server: BarmanServer, { backups, nowMs }: StoredFacts): CheckLine {
  const name = 'backup maximum age'
  const most = server.lastBackupMaximumAge
  if (most === undefined) return ok(name, 'no last_backup_maximum_age provided')
  const [last] = backups
  const ageMs = last === undefined ? undefined : nowMs - Date.parse(last.info.finishedAt)
  const age = ageMs === undefined ? 'No available backups' : prettySpan(ageMs)
  return {
    name,
    isOk: ageMs !== undefined && ageMs <= most.ms,
    hint: `interval provided: ${intervalText(most.count, most.unit)}, latest backup age: ${age}`,
  }
}

function backupSizeLine(server: BarmanServer, backups: StoredFacts['backups']): CheckLine {
  const name = 'backup minimum size'
  const bytes = backups[0]?.info.bytes.database ?? 0
  const least = server.lastBackupMinimumSize
  if (least === undefined) return ok(name, prettySize(bytes))
  const isOk = bytes > least
  const sign = isOk ? '>' : '<'
  return {
    name,
    isOk,
    hint: `last backup size ${prettySize(bytes)} ${sign} ${prettySize(least)} minimum`,
  }
}

function walAgeLine(server: BarmanServer, { lastWalAtMs, nowMs }: StoredFacts): CheckLine {
  const name = 'wal maximum age'
  const most = server.lastWalMaximumAge
  if (most === undefined) return ok(name, 'no last_wal_maximum_age provided')
  if (lastWalAtMs === undefined) return failed(name, 'No WAL files archived for last backup')
  const ageMs = nowMs - lastWalAtMs
  return {
    name,
    isOk: ageMs <= most.ms,
    hint: `interval provided: ${intervalText(most.count, most.unit)}, latest wal age: ${prettySpan(ageMs)}`,
  }
}

/** Bytes of WAL, as stored, since the last backup ended. */
export function walAfterLastBackup({ backups, held }: StoredFacts): number {
  const last = backups[0]?.info
  if (last === undefined) return held.reduce((total, { bytes }) => total + bytes, 0)
  return held
    .filter((segment) => segmentStart(segment, last.postgres.segmentBytes) >= last.stopLsn)
    .reduce((total, { bytes }) => total + bytes, 0)
}

function intervalText(count: number, unit: string): string {
  return `${count} ${unit}${count === 1 ? '' : 's'}`
}

/** Files that were set aside. */
export async function archiverErrorsLine(server: BarmanServer): Promise<CheckLine> {
  const names = await readdir(server.errorsDirectory).catch(() => [])
  const count = (ending: string): number => names.filter((name) => name.endsWith(ending)).length
  const [duplicates, unknown] = [count('.duplicate'), count('.unknown')]
  const others = names.length - duplicates - unknown
  const parts = [
    [duplicates, 'duplicates'],
    [unknown, 'unknown'],
    [others, 'unknown failure'],
  ] as const
  const hint = parts
    .filter(([number]) => number > 0)
    .map(([number, what]) => `${what}: ${number}`)
    .join(', ')
  return judge('archiver errors', names.length === 0, hint)
}

/** What stands in the incoming directory although nobody empties it, or is too much. */
export function queueLines(server: BarmanServer, waiting: number): CheckLine[] {
  if (!server.archiver) {
    if (waiting === 0) return []
    return [
      failed(
        'empty incoming directory',
        `'${server.incomingDirectory}' must be empty when archiver=off`,
      ),
    ]
  }
  const most = server.maxIncomingWalsQueue
  if (most === undefined || waiting <= most) return []
  return [
    failed('incoming WALs directory', `there are too many WALs in queue: ${waiting}, max ${most}`),
  ]
}
