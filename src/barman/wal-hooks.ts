/**
 * Runs the operator's scripts around the storing and removing of WAL files, whichever way a file
 * comes: put-wal, the incoming directory, the receiver.
 */
import type { BarmanServer } from '../config/barman/model.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import type { BarmanContext } from './context.ts'

/** The repository with scripts around its WAL; itself when none is configured. */
export async function withWalHooks(
  context: BarmanContext,
  server: BarmanServer,
  repository: ClusterRepository,
): Promise<ClusterRepository> {
  const keys = [...server.options.keys()].filter((key) => /_(archive|wal_delete)_/.test(key))
  const hasScript = keys.some((key) => server.options.get(key) !== undefined)
  if (!hasScript) return repository
  const { HookedWal } = await import('./hooked-wal.ts')
  return { ...repository, wal: new HookedWal(context, server, repository) }
}
