/**
 * Shows one backup.
 */
import { formatLsn } from '../../postgres/lsn.ts'
import type { BackupInfo, CataloguedBackup } from '../../repository/backup-info.ts'
import { findBackup } from '../../repository/catalogue.ts'
import { formatDuration } from '../../util/duration.ts'
import { formatSize } from '../../util/size.ts'
import { type RecoverableWindow, recoverableWindows } from '../../wal/continuity.ts'
import { loadContinuity } from '../../wal/load-continuity.ts'
import type { ARGUMENTS } from '../commands/show.ts'
import type { WalPlaceOptions } from '../commands/wal-options.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { backupJson, describeTime } from './backup-json.ts'
import { renderFacts } from './facts.ts'
import { openWalPlace } from './wal-place.ts'

/** @throws {BackstayError} BACKUP_MISSING, REPOSITORY_MISSING, USAGE, CONFIG_MISSING */
export async function run(
  context: CommandContext<WalPlaceOptions, typeof ARGUMENTS>,
): Promise<CommandResult> {
  const repository = await openWalPlace(context)
  const backup = await findBackup(repository, context.arguments.backup)
  const [window] = recoverableWindows([backup.info], await loadContinuity(repository))
  return {
    data: backupJson(backup, window),
    text: () => renderFacts(factsOf(backup, window)),
  }
}

function factsOf(
  backup: CataloguedBackup,
  window: RecoverableWindow | undefined,
): [string, string][] {
  const { info, keep } = backup
  const { bytes, source, postgres } = info
  const tookMs = Date.parse(info.finishedAt) - Date.parse(info.startedAt)
  return [
    ['Backup', `${info.id} of "${info.cluster}"${info.label === null ? '' : `, "${info.label}"`}`],
    ['Type', describeType(info)],
    ['Taken', `${describeTime(info.startedAt)}, in ${formatDuration(tookMs)}`],
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
        : `since ${describeTime(keep.keptAt)}${keep.reason === null ? '' : `: ${keep.reason}`}`,
    ],
  ]
}

function describeType(info: BackupInfo): string {
  if (info.type === 'changed-pages') return `changed pages since ${info.reference} (${info.method})`
  return info.fullBecause === null ? 'full' : `full, because ${info.fullBecause}`
}

function describeWindow(window: RecoverableWindow | undefined): string {
  if (window === undefined) return 'no: its WAL has a gap'
  const { from, to } = window
  return `from ${formatLsn(from.lsn)} to ${formatLsn(to.lsn)} on timeline ${to.timeline}`
}

function describeState(info: BackupInfo): string {
  if (info.status === 'done') return 'good'
  const shown = info.badPages.list.slice(0, 5).map(({ path, block }) => `${path} block ${block}`)
  return `${info.badPages.count} bad pages: ${shown.join(', ')}`
}
