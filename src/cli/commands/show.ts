/**
 * `backstay show`: one backup.
 */
import type { BackupDamage } from '../../backup/known-damage.ts'
import { printableWord } from '../../errors/printable.ts'
import { formatLsn } from '../../postgres/lsn.ts'
import type { BackupInfo, CataloguedBackup } from '../../repository/backup-info.ts'
import { findBackup } from '../../repository/catalogue.ts'
import { loadSources } from '../../restore/load-sources.ts'
import { timeOfEnd } from '../../restore/window-time.ts'
import { formatDuration } from '../../util/duration.ts'
import { spellIsoTime } from '../../util/local-time.ts'
import { formatSize } from '../../util/size.ts'
import { recoverableWindows } from '../../wal/continuity.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import { openWalPlace } from '../session/wal-place.ts'
import { backupJson, damageJson } from '../text/backup-json.ts'
import { renderFacts } from '../text/facts.ts'
import { spellWindow, type TimedWindow, windowJson } from '../text/recoverable.ts'
import type { WalPlaceOptions } from './wal-options.ts'
import { ARGUMENTS } from './backup-argument.ts'
import { WAL_PLACE_OPTIONS } from './wal-options.ts'

export default defineCommand({
  options: WAL_PLACE_OPTIONS,
  arguments: ARGUMENTS,
  exits: ['BACKUP_MISSING', 'REPOSITORY_MISSING'],
  examples: ['backstay show latest', 'backstay show 20261122T084545 --json'],
  runsOn: 'backup server',
  run,
})

/** @throws {BackstayError} BACKUP_MISSING, REPOSITORY_MISSING, USAGE, CONFIG_MISSING */
async function run(
  context: CommandContext<WalPlaceOptions, typeof ARGUMENTS>,
): Promise<CommandResult> {
  const repository = await openWalPlace(context)
  const backup = await findBackup(repository, context.arguments.backup)
  const sources = await loadSources(repository, context.signal)
  const { map, lines } = sources
  const damage = sources.damage?.get(backup.info.id)
  const [found] = recoverableWindows([backup.info], map, lines?.current)
  const toTimeUs = found && (await timeOfEnd(backup.info, found.to, sources))
  const window = found && { ...found, fromTime: backup.info.finishedAt, toTimeUs }
  return {
    data: {
      ...backupJson(backup, window),
      ...damageJson(damage),
      recoverable: window === undefined ? null : windowJson(window),
    },
    text: () => renderFacts([...factsOf(backup, window), ...damageFacts(damage)]),
  }
}

function damageFacts(damage: BackupDamage | undefined): [string, string][] {
  if (damage === undefined) return []
  return [[damage.isProved ? 'Damaged' : 'In doubt', damage.because]]
}

function factsOf(backup: CataloguedBackup, window: TimedWindow | undefined): [string, string][] {
  const { info, keep } = backup
  const { bytes, source, postgres } = info
  const tookMs = Date.parse(info.finishedAt) - Date.parse(info.startedAt)
  return [
    [
      'Backup',
      `${info.id} of "${info.cluster}"${info.label === null ? '' : `, "${printableWord(info.label)}"`}`,
    ],
    ['Type', describeType(info)],
    ['Taken', `${spellIsoTime(info.startedAt)}, in ${formatDuration(tookMs)}`],
    [
      'From',
      `${source.role} ${source.server ?? source.host}:${source.port}, PostgreSQL ${postgres.major}`,
    ],
    [
      'Size',
      `${formatSize(bytes.database)} in ${info.files} files; ${formatSize(bytes.stored)} newly stored`,
    ],
    [
      'WAL',
      `${formatLsn(info.startLsn)} to ${formatLsn(info.stopLsn)} on timeline ${info.timeline}`,
    ],
    ['Recoverable', describeWindow(window)],
    ...info.tablespaces.map(({ oid, location }): [string, string] => [
      'Tablespace',
      `${oid} in "${location}"`,
    ]),
    ['State', describeState(info)],
    [
      'Kept',
      keep === undefined
        ? 'no'
        : `since ${spellIsoTime(keep.keptAt)}${keep.reason === null ? '' : `: ${printableWord(keep.reason)}`}`,
    ],
  ]
}

function describeType(info: BackupInfo): string {
  if (info.type === 'changed-pages') return `changed pages since ${info.reference} (${info.method})`
  return info.fullBecause === null ? 'full' : `full, because ${info.fullBecause}`
}

function describeWindow(window: TimedWindow | undefined): string {
  if (window === undefined) return 'no: its WAL has a gap'
  return `from ${spellWindow(window)}`
}

function describeState(info: BackupInfo): string {
  if (info.status === 'done') return 'good'
  const shown = info.badPages.list.slice(0, 5).map(({ path, block }) => `${path} block ${block}`)
  return `${info.badPages.count} bad pages: ${shown.join(', ')}`
}
