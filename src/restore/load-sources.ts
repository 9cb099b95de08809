/**
 * Gathers what the planner decides from: backups, the continuity map, WAL that can be read, and up
 * to when all is known.
 */
import { isDeepStrictEqual } from 'node:util'
import { loadDamage } from '../backup/known-damage.ts'
import { listBackups } from '../repository/catalogue.ts'
import type { ClusterRepository } from '../repository/cluster-repository.ts'
import type { ContinuityMap } from '../wal/continuity.ts'
import { loadContinuity } from '../wal/load-continuity.ts'
import { loadLines } from '../wal/load-lines.ts'
import { readWalFile } from '../wal/read-wal-file.ts'
import { findMinimal, hasUnexamined, tryRecordBarriers, withBarriers } from '../wal/unexamined.ts'
import { isStale, readReceiverStatus } from '../wal/receiver-status.ts'
import { spoolOf } from '../wal/spool-place.ts'
import type { RestoreSources } from './restore-sources.ts'
import { readingOf } from './wal-reading.ts'

/** @throws {BackstayError} REPOSITORY_DAMAGED, STORE. */
export async function loadSources(
  repository: ClusterRepository,
  signal?: AbortSignal,
): Promise<RestoreSources> {
  // What the receiver knew before the map was read: WAL that came meanwhile only makes it more.
  const current = await knownUntil(repository)
  const map = await loadContinuity(repository)
  const backups = (await listBackups(repository)).map(({ info }) => info)
  const readSegment = async (name: string): Promise<Uint8Array | undefined> =>
    (await readWalFile(repository, name))?.content
  const withMap = (known: ContinuityMap): Pick<RestoreSources, 'map' | 'wal'> => ({
    map: known,
    wal: readingOf({ map: known, major: repository.identity.major, readSegment, signal }),
  })
  const sources: RestoreSources = {
    cluster: repository.identity.cluster,
    backups,
    lines: await loadLines(repository, map, backups),
    damage: await loadDamage(repository, backups),
    currentAtUs: current?.atUs,
    currentTimeline: current?.timeline,
    ...withMap(map),
  }
  if (!(await hasUnexamined(repository))) return sources
  return examining(sources, async (known, names) => {
    const barriers = await findMinimal(repository, names, signal)
    await tryRecordBarriers(repository, barriers)
    return withMap(withBarriers(known, barriers))
  })
}

/**
 * Sources that look for barriers in what is asked for, each time with all that were found before.
 */
function examining(
  sources: RestoreSources,
  look: (
    map: ContinuityMap,
    names: readonly string[],
  ) => Promise<Pick<RestoreSources, 'map' | 'wal'>>,
): RestoreSources {
  return {
    ...sources,
    examine: async (names) => {
      const found = await look(sources.map, names)
      const isSame = isDeepStrictEqual(found.map.ranges, sources.map.ranges)
      return isSame ? undefined : examining({ ...sources, ...found }, look)
    },
  }
}

/**
 * The moment a running receiver heard from its server last, if it held all of the server's WAL
 * then: everything committed before is held. By this machine's clock, against which the server's
 * may be off by what NTP leaves.
 */
async function knownUntil(
  repository: ClusterRepository,
): Promise<{ readonly atUs: bigint; readonly timeline: number | undefined } | undefined> {
  const status = await readReceiverStatus(spoolOf(repository).directory)
  if (status === undefined || isStale(status, repository.clock)) return undefined
  const { state, flushLsn, serverEndLsn, lastMessageAtMs } = status
  const holdsAll = flushLsn !== undefined && serverEndLsn !== undefined && flushLsn >= serverEndLsn
  if (state !== 'streaming' || !holdsAll || lastMessageAtMs === undefined) return undefined
  return { atUs: BigInt(Math.floor(lastMessageAtMs)) * 1000n, timeline: status.timeline }
}
