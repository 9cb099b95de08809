/**
 * Configuration files for a directory whose origin keeps them elsewhere (Debian: /etc/postgresql), so that it can be opened.
 */
import type { ControlFile } from '../postgres/control-file.ts'
import { formatConfLine } from '../postgres/conf-file.ts'

const HEADER = '# Written by Backstay: the backup holds no such file.'

/** The files that are missing: name → content. Local logins by the OS user's name only. */
export function standInFiles(
  present: { has(name: string): boolean },
  control: ControlFile,
): Readonly<Record<string, string>> {
  const files = {
    'postgresql.conf': [HEADER, ...leastSettings(control), ''].join('\n'),
    'pg_hba.conf': `${HEADER}\nlocal all all peer\n`,
    'pg_ident.conf': `${HEADER}\n`,
  }
  return Object.fromEntries(Object.entries(files).filter(([name]) => !present.has(name)))
}

/** Recovery refuses to go on with less than the origin had. */
function leastSettings({ parameters }: ControlFile): string[] {
  const settings: Readonly<Record<string, number | undefined>> = {
    max_connections: parameters.maxConnections,
    max_worker_processes: parameters.maxWorkerProcesses,
    max_wal_senders: parameters.maxWalSenders,
    max_prepared_transactions: parameters.maxPreparedTransactions,
    max_locks_per_transaction: parameters.maxLocksPerTransaction,
  }
  return Object.entries(settings).flatMap(([name, value]) =>
    value === undefined ? [] : [formatConfLine(name, String(value))],
  )
}
