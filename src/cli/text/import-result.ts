/**
 * What an import from Barman has done, as JSON and as text.
 */
import {
  type BackupOutcome,
  isIncomplete,
  type ServerImportResult,
} from '../../barman/import/server-import.ts'
import { printableWord } from '../../errors/printable.ts'
import { formatSize } from '../../util/size.ts'
import { type Column, renderTable } from '../output/table.ts'

/** Problems printed for people; --json has all. */
const SHOWN = 10

const OUTCOMES: Readonly<Record<BackupOutcome['outcome'], string>> = {
  imported: 'imported',
  import: 'to be imported',
  present: 'there already',
  wait: 'not yet',
  refused: 'not imported',
  skipped: 'passed over',
  failed: 'failed',
}

const COLUMNS: readonly Column<BackupOutcome>[] = [
  { title: 'Backup', value: ({ id }) => id },
  { title: 'Outcome', value: ({ outcome }) => OUTCOMES[outcome] },
  {
    title: 'Size',
    align: 'right',
    value: ({ info }) => (info === undefined ? '' : formatSize(info.bytes.database)),
  },
  { title: 'Name', value: ({ info }) => printableWord(info?.label ?? '') },
  { title: 'Why', value: ({ because }) => because ?? '', shrinks: true },
]

/** What --json says of one server's import. */
export function importJson(result: ServerImportResult): object {
  const { server, cluster, wal, walFiles, walBytes, walMissing, backups } = result
  return {
    server,
    cluster,
    isComplete: !isIncomplete(result),
    wal: {
      files: walFiles,
      bytes: walBytes,
      stored: wal?.stored ?? 0,
      present: wal?.present ?? 0,
      problems: wal?.problems ?? [],
      missing: walMissing,
    },
    backups: backups.map(({ id, outcome, because, info }) => ({
      id,
      outcome,
      because,
      label: info?.label ?? null,
      bytes: info?.bytes ?? null,
    })),
  }
}

/** The same for people. `columns`: width of the terminal. */
export function importText(result: ServerImportResult, columns: number | undefined): string {
  const { server, cluster, wal, walFiles, walBytes, walMissing, backups } = result
  const done = wal === undefined ? '' : `: ${wal.stored} stored, ${wal.present} there already`
  const table = backups.length === 0 ? 'No backups.\n' : renderTable(COLUMNS, backups, columns)
  return [
    `Barman's "${server}" into "${cluster}": ${walFiles} WAL ${walFiles === 1 ? 'file' : 'files'}, ${formatSize(walBytes)}${done}.\n`,
    ...listed('WAL files not taken', wal?.problems.map(({ name, why }) => `${name}: ${why}`) ?? []),
    ...listed('WAL files that xlog.db lists and that are not there', walMissing),
    table,
  ].join('')
}

function listed(title: string, lines: readonly string[]): string[] {
  if (lines.length === 0) return []
  const more = lines.length > SHOWN ? [`  and ${lines.length - SHOWN} more\n`] : []
  return [
    `${title}: ${lines.length}\n`,
    ...lines.slice(0, SHOWN).map((line) => `  ${line}\n`),
    ...more,
  ]
}
