/**
 * Lists the backups of a cluster.
 */
import { formatLsn } from '../../postgres/lsn.ts'
import type { CataloguedBackup } from '../../repository/backup-info.ts'
import { readCatalogue } from '../../repository/catalogue.ts'
import { formatSize } from '../../util/size.ts'
import {
  type ContinuityMap,
  recoverableRange,
  type RecoverableWindow,
  recoverableWindows,
} from '../../wal/continuity.ts'
import { loadContinuity } from '../../wal/load-continuity.ts'
import type { WalPlaceOptions } from '../commands/wal-options.ts'
import type { CommandContext, CommandResult } from '../context.ts'
import { type Column, renderTable } from '../output/table.ts'
import { backupJson, describeTime, positionJson } from './backup-json.ts'
import { openWalPlace } from './wal-place.ts'

interface Row extends CataloguedBackup {
  readonly window: RecoverableWindow | undefined
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'backup', value: ({ info }) => info.id },
  { title: 'type', value: ({ info }) => (info.type === 'full' ? 'full' : 'changed pages') },
  { title: 'finished', value: ({ info }) => describeTime(info.finishedAt) },
  { title: 'size', value: ({ info }) => formatSize(info.bytes.database), align: 'right' },
  { title: 'stored', value: ({ info }) => formatSize(info.bytes.stored), align: 'right' },
  { title: 'timeline', value: ({ info }) => String(info.timeline), align: 'right' },
  { title: 'state', value: stateOf },
  { title: 'label', value: ({ info }) => info.label ?? '', shrinks: true },
]

/** @throws {BackstayError} REPOSITORY_MISSING, USAGE, CONFIG_MISSING */
export async function run(context: CommandContext<WalPlaceOptions>): Promise<CommandResult> {
  const repository = await openWalPlace(context)
  const { backups, damaged } = await readCatalogue(repository)
  const map = await loadContinuity(repository)
  const infos = backups.map(({ info }) => info)
  const windows = recoverableWindows(infos, map)
  const rows = backups.map((backup) => ({
    ...backup,
    window: windows.find((window) => window.backup === backup.info.id),
  }))
  return {
    data: {
      cluster: repository.identity.cluster,
      backups: rows.map((row) => backupJson(row, row.window)),
      damaged: damaged.map(({ id, error }) => ({ id, message: error.message })),
      recoverable: rangeJson(infos, map),
    },
    text: () =>
      [
        rows.length === 0
          ? 'There is no backup.\n'
          : renderTable(COLUMNS, rows, context.output.columns),
        ...damaged.map(({ id, error }) => `Backup ${id} is damaged: ${error.message}\n`),
        describeRange(infos, map),
      ].join(''),
    exitCode: damaged.length === 0 ? 0 : 13,
  }
}

function stateOf({ info, keep, window }: Row): string {
  const states = [
    info.status === 'bad-pages' ? `${info.badPages.count} bad pages` : undefined,
    window === undefined ? 'WAL missing' : undefined,
    keep === undefined ? undefined : 'kept',
  ].filter((state) => state !== undefined)
  return states.length === 0 ? 'good' : states.join(', ')
}

type Infos = readonly CataloguedBackup['info'][]

function rangeJson(infos: Infos, map: ContinuityMap): object | null {
  const range = recoverableRange(infos, map)
  return range === undefined ? null : { from: positionJson(range.from), to: positionJson(range.to) }
}

function describeRange(infos: Infos, map: ContinuityMap): string {
  const range = recoverableRange(infos, map)
  if (range === undefined) return infos.length === 0 ? '' : 'No moment can be restored.\n'
  const { from, to } = range
  return `Recoverable from ${formatLsn(from.lsn)} (timeline ${from.timeline}) to ${formatLsn(to.lsn)} (timeline ${to.timeline}).\n`
}
