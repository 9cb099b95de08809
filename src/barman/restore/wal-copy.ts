/**
 * The WAL a restored directory takes along, so that it can be opened where the repository cannot be
 * reached: what lies on the plan's path, unfinished segments filled with zeros, and every history
 * file.
 */
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { formatHistoryName } from '../../postgres/segment-name.ts'
import type { ClusterRepository } from '../../repository/cluster-repository.ts'
import { walFilesOf } from '../../restore/path-files.ts'
import type { RestorePlan } from '../../restore/plan.ts'
import { syncDirectory } from '../../util/sync-directory.ts'
import { readWalFile } from '../../wal/read-wal-file.ts'

/**
 * Writes the files into `directory`, which exists; durable when it resolves. Segments that are not
 * held are left out: the plan has made sure that what the target needs is there.
 * @throws {BackstayError} REPOSITORY_DAMAGED, STORE; errno errors of the directory; the signal's
 * reason.
 */
export async function copyWal(
  repository: ClusterRepository,
  plan: RestorePlan,
  to: { readonly directory: string; readonly signal: AbortSignal },
): Promise<void> {
  for (const timeline of await repository.wal.listHistories()) {
    const content = await repository.wal.getHistory(timeline)
    if (content !== undefined) await write(join(to.directory, formatHistoryName(timeline)), content)
  }
  for (const name of walFilesOf(plan, plan.backup.postgres.segmentBytes)) {
    to.signal.throwIfAborted()
    const found = await readWalFile(repository, name)
    if (found !== undefined) await write(join(to.directory, name), found.content)
  }
  await syncDirectory(to.directory)
}

async function write(path: string, content: Buffer): Promise<void> {
  await using file = await open(path, 'w', 0o600)
  await file.writeFile(content)
  await file.sync()
}
