/**
 * Gathers what the planner decides from: backups, the continuity map, WAL that can be read, and up to when all is known.
 */
import { listBackups } from '../repository/catalogue.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import { loadContinuity } from '../wal/load-continuity.ts'
import { readWalFile } from '../wal/read-wal-file.ts'
import { isStale, readReceiverStatus } from '../wal/receiver-status.ts'
import { spoolOf } from '../wal/spool-place.ts'
import type { RestoreSources } from './choose.ts'
import { readingOf } from './wal-reading.ts'

/** @throws {BackstayError} REPOSITORY_DAMAGED, STORE. */
export async function loadSources(
  repository: ClusterRepository,
  signal?: AbortSignal,
): Promise<RestoreSources> {
  // What the receiver knew before the map was read: WAL that came meanwhile only makes it more.
  const currentAtUs = await knownUntil(repository)
  const map = await loadContinuity(repository)
  const readSegment = async (name: string): Promise<Uint8Array | undefined> =>
    (await readWalFile(repository, name))?.content
  return {
    cluster: repository.identity.cluster,
    backups: (await listBackups(repository)).map(({ info }) => info),
    map,
    wal: readingOf({ map, major: repository.identity.major, readSegment, signal }),
    currentAtUs,
  }
}

/**
 * The moment a running receiver heard from its server last, if it held all of the server's WAL then: everything committed before
 * is held. By this machine's clock, against which the server's may be off by what NTP leaves.
 */
async function knownUntil(repository: ClusterRepository): Promise<bigint | undefined> {
  const status = await readReceiverStatus(spoolOf(repository).directory)
  if (status === undefined || isStale(status, repository.clock)) return undefined
  const { state, flushLsn, serverEndLsn, lastMessageAtMs } = status
  const holdsAll = flushLsn !== undefined && serverEndLsn !== undefined && flushLsn >= serverEndLsn
  if (state !== 'streaming' || !holdsAll || lastMessageAtMs === undefined) return undefined
  return BigInt(Math.floor(lastMessageAtMs)) * 1000n
}
