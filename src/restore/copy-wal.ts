/**
 * Puts the WAL that recovery will read into the restored directory's own pg_wal, so that the server
 * needs nothing of Backstay and may not even be able to read the repository. It costs the room of
 * that WAL; without it the server fetches WAL while it recovers.
 */
import { join } from 'node:path'
import { replaceFile } from '../host/local-files.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { readWalFile } from '../wal/read-wal-file.ts'
import type { Owner } from './worker-job.ts'
import type { RestorePlan } from './plan.ts'
import { walFilesOf } from './path-files.ts'

/**
 * The restore_command of a directory that holds its own WAL: nothing is ever there, so PostgreSQL
 * looks into pg_wal. Recovery without any restore_command is refused by PostgreSQL.
 */
export const NO_RESTORE_COMMAND = 'false'

/** Where the WAL goes. */
export interface WalDestination {
  /** The server's pg_wal. */
  readonly directory: string
  readonly owner: Owner | undefined
  /** Of the files. */
  readonly mode: number
  readonly signal?: AbortSignal | undefined
}

/**
 * Copies it, one file at a time. Not durable before the directory is synced.
 * @throws what reading the repository throws.
 */
export async function copyWal(
  repository: ClusterRepository,
  plan: RestorePlan,
  destination: WalDestination,
): Promise<void> {
  for (const name of walFilesOf(plan, repository.identity.segmentBytes)) {
    destination.signal?.throwIfAborted()
    const file = await readWalFile(repository, name)
    // At a timeline switch the segment is often held under only one of its two names.
    if (file === undefined) continue
    const path = join(destination.directory, name)
    await replaceFile(path, file.content, { mode: destination.mode, owner: destination.owner })
  }
}
