/**
 * Has the primary of a cluster finish its present segment, and waits until it is stored.
 */
import { BackstayError, isBackstayError } from '../errors/backstay-error.ts'
import { toLsn } from '../postgres/lsn.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { finishSegment, type SwitchedSegment, isInRecovery } from '../wal/switch-wal.ts'
import { waitForWal } from '../wal/wait-for-wal.ts'
import type { ConnectionOptions } from '../wire/connection-options.ts'
import { SqlClient } from '../wire/sql-client.ts'
import type { Ear } from './ear.ts'

/** Where the segment goes, and whose it is. */
export interface SwitchWalPlace {
  readonly repository: ClusterRepository
  /** Asked in this order for the primary. */
  readonly servers: readonly ConnectionOptions[]
}

/**
 * The segment that is stored now.
 * @throws {BackstayError} POSTGRES_UNREACHABLE when no primary answers, WAL_UNAVAILABLE when the
 * segment does not come in time; the signal's reason
 */
export async function switchWal(
  { repository, servers }: SwitchWalPlace,
  { timeoutMs }: { readonly timeoutMs: number },
  { signal }: Pick<Ear<never>, 'signal'>,
): Promise<SwitchedSegment> {
  const finished = await onPrimary(servers, signal)
  if (finished === undefined) {
    throw new BackstayError(
      'POSTGRES_UNREACHABLE',
      `Cannot switch WAL of "${repository.identity.cluster}": no primary answers`,
    )
  }
  const { timeline, lsn } = finished
  const range = { timeline, startLsn: toLsn(lsn - 1n), endLsn: lsn }
  await waitForWal(repository, range, { timeoutMs, signal, finishedOnly: true })
  return finished
}

/** One that may answer another time is passed over. */
async function onPrimary(
  servers: readonly ConnectionOptions[],
  signal: AbortSignal,
): Promise<SwitchedSegment | undefined> {
  for (const server of servers) {
    try {
      await using sql = await SqlClient.connect({ ...server, signal })
      if (!(await isInRecovery(sql))) return await finishSegment(sql)
    } catch (error) {
      if (!isBackstayError(error) || !error.retryable) throw error
    }
  }
  return undefined
}
