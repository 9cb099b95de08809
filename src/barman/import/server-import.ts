/**
 * The import of one Barman server as values: what is wanted, and what came of it.
 */
import type { BackupRecord } from '../../backup/take/describe-backup.ts'
import type { BackupInfo } from '../../repository/backup-info.ts'
import type { Store } from '../../store/store.ts'
import type { Clock } from '../../util/clock.ts'
import type { BarmanPlace } from './barman-place.ts'
import type { WalImport } from './import-wal.ts'

/** What is imported, to where, and how. */
export interface ServerImport {
  readonly place: BarmanPlace
  readonly store: Store
  /** The cluster's name in the repository. */
  readonly cluster: string
  readonly clock: Clock
  /** Where the server is, for the record; its port is 0 when that is not known. */
  readonly address: BackupRecord['connection']
  readonly createdBy: string
  readonly isDryRun: boolean
  /** Compression threads. */
  readonly workers: number
  readonly signal: AbortSignal
  readonly report: ImportReporter
}

/** Is told what is being done. */
export interface ImportReporter {
  /** Runs a part of the work; `progress` takes done bytes and, when it is known, all. */
  step<T>(
    title: string,
    work: (progress: (doneBytes: number, totalBytes?: number) => void) => Promise<T>,
  ): Promise<T>
}

/** What became of one backup, or with a dry run what would. */
export interface BackupOutcome {
  readonly id: string
  readonly outcome: 'imported' | 'import' | 'present' | 'wait' | 'refused' | 'skipped' | 'failed'
  /** Why it was not imported. */
  readonly because: string | null
  /** As it is listed now. */
  readonly info: BackupInfo | undefined
}

/** The result for one server. */
export interface ServerImportResult {
  readonly server: string
  readonly cluster: string
  readonly walFiles: number
  readonly walBytes: number
  /** Undefined with a dry run. */
  readonly wal: WalImport | undefined
  /** WAL that xlog.db lists and nobody has. */
  readonly walMissing: readonly string[]
  readonly backups: readonly BackupOutcome[]
}

/** Whether something that is there could not be brought over. */
export function isIncomplete({ wal, backups }: ServerImportResult): boolean {
  const isLeft = backups.some(({ outcome }) => ['wait', 'refused', 'failed'].includes(outcome))
  return isLeft || (wal?.problems.length ?? 0) > 0
}
