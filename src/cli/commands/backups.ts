/**
 * `backstay backups`: the catalogue.
 */
import { type BackupDamage, describeDamage } from '../../backup/known-damage.ts'
import { printableWord } from '../../errors/printable.ts'
import type { BackupId, BackupInfo, CataloguedBackup } from '../../repository/backup-info.ts'
import { readCatalogue } from '../../repository/catalogue.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import { findLocks } from '../../repository/lock.ts'
import { readUnfinished, type UnfinishedBackup } from '../../repository/unfinished.ts'
import { loadSources } from '../../restore/load-sources.ts'
import type { RestoreSources } from '../../restore/restore-sources.ts'
import { timeOfEnd } from '../../restore/window-time.ts'
import { spellIsoTime } from '../../util/local-time.ts'
import { formatSize } from '../../util/size.ts'
import {
  recoverableRange,
  type RecoverableWindow,
  recoverableWindows,
} from '../../wal/continuity.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { defineCommand } from '../define-command.ts'
import { type Column, renderTable } from '../output/table.ts'
import { openWalPlace } from '../session/wal-place.ts'
import { backupJson, damageJson } from '../text/backup-json.ts'
import { spellWindow, type TimedWindow, windowJson } from '../text/recoverable.ts'
import type { WalPlaceOptions } from './wal-options.ts'
import { WAL_PLACE_OPTIONS } from './wal-options.ts'

export default defineCommand({
  options: WAL_PLACE_OPTIONS,
  exits: ['REPOSITORY_MISSING', 'REPOSITORY_DAMAGED'],
  examples: ['backstay backups', 'backstay backups --json | jq -r .backups[0].id'],
  runsOn: 'backup server',
  run,
})

interface ListedBackup extends CataloguedBackup {
  readonly window: RecoverableWindow | undefined
  readonly damage: BackupDamage | undefined
}

const COLUMNS: readonly Column<ListedBackup>[] = [
  { title: 'backup', value: ({ info }) => info.id },
  { title: 'type', value: ({ info }) => (info.type === 'full' ? 'full' : 'changed pages') },
  { title: 'finished', value: ({ info }) => spellIsoTime(info.finishedAt) },
  { title: 'size', value: ({ info }) => formatSize(info.bytes.database), align: 'right' },
  { title: 'stored', value: ({ info }) => formatSize(info.bytes.stored), align: 'right' },
  { title: 'timeline', value: ({ info }) => String(info.timeline), align: 'right' },
  { title: 'state', value: stateOf },
  { title: 'label', value: ({ info }) => printableWord(info.label ?? ''), shrinks: true },
]

/** @throws {BackstayError} REPOSITORY_MISSING, USAGE, CONFIG_MISSING */
async function run(context: CommandContext<WalPlaceOptions>): Promise<CommandResult> {
  const repository = await openWalPlace(context)
  const { backups, damaged } = await readCatalogue(repository)
  const sources = await loadSources(repository, context.signal)
  const infos = backups.map(({ info }) => info)
  const { map, lines, damage } = sources
  const windows = recoverableWindows(infos, map, lines?.current)
  const range = await timedRange(infos, sources)
  const interrupted = await interruptedIn(repository, infos[0]?.id)
  const rows = backups.map((backup) => ({
    ...backup,
    damage: damage?.get(backup.info.id),
    window: windows.find((window) => window.backup === backup.info.id),
  }))
  return {
    data: {
      cluster: repository.identity.cluster,
      backups: rows.map((row) => ({ ...backupJson(row, row.window), ...damageJson(row.damage) })),
      damaged: damaged.map(({ id, error }) => ({ id, message: error.message })),
      interrupted: interrupted.map(interruptedJson),
      recoverable: range === undefined ? null : windowJson(range),
    },
    text: () =>
      [
        rows.length === 0
          ? 'There is no backup.\n'
          : renderTable(COLUMNS, rows, context.output.columns),
        ...damaged.map(({ id, error }) => `Backup ${id} is damaged: ${error.message}\n`),
        ...rows.map(describeRowDamage),
        ...interrupted.map(describeInterrupted),
        describeRange(range, rows.length),
      ].join(''),
    exitCode: damaged.length === 0 && !rows.some((row) => row.damage?.isProved) ? 0 : 13,
  }
}

/** Fulls that the next full goes on with; not the one that is being taken. */
async function interruptedIn(
  repository: ClusterRepository,
  newest: BackupId | undefined,
): Promise<readonly UnfinishedBackup[]> {
  const found = await readUnfinished(repository, newest)
  if (found.length === 0) return found
  const locks = await findLocks(repository, 'catalogue')
  return locks.some(({ liveness }) => liveness !== 'dead') ? found.slice(0, -1) : found
}

function interruptedJson({ id, storedBytes, until }: UnfinishedBackup): object {
  return { id, storedBytes, until }
}

function describeInterrupted({ id, storedBytes, until }: UnfinishedBackup): string {
  return `Full backup ${id} was interrupted: the next full goes on with the ${formatSize(storedBytes)} it has stored, until ${spellIsoTime(until)}.\n`
}

function describeRowDamage({ info, damage }: ListedBackup): string {
  if (damage === undefined) return ''
  return `${describeDamage(info.id, damage).replace('b', 'B')}.\n`
}

function damageState(damage: BackupDamage | undefined): string | undefined {
  return damage && (damage.isProved ? 'damaged' : 'may be damaged')
}

function stateOf({ info, keep, window, damage }: ListedBackup): string {
  const states = [
    damageState(damage),
    info.status === 'bad-pages' ? `${info.badPages.count} bad pages` : undefined,
    window === undefined ? 'WAL missing' : undefined,
    keep === undefined ? undefined : 'kept',
  ].filter((state) => state !== undefined)
  return states.length === 0 ? 'good' : states.join(', ')
}

async function timedRange(
  infos: readonly BackupInfo[],
  sources: RestoreSources,
): Promise<TimedWindow | undefined> {
  const range = recoverableRange(infos, sources.map, sources.lines?.current)
  const first = infos.find(
    ({ stopLsn, timeline }) => stopLsn === range?.from.lsn && timeline === range.from.timeline,
  )
  if (range === undefined || first === undefined) return undefined
  const toTimeUs = await timeOfEnd(first, range.to, sources)
  return { ...range, fromTime: first.finishedAt, toTimeUs }
}

function describeRange(range: TimedWindow | undefined, backups: number): string {
  if (range === undefined) return backups === 0 ? '' : 'No moment can be restored.\n'
  return `Recoverable from ${spellWindow(range)}.\n`
}
