/**
 * Who holds WAL that a candidate may lack: the old primary's own directory, other standbys, the
 * backup server. And how far the WAL of each reaches without a hole from where the candidate
 * stands.
 */
import { addBytes, type Lsn } from '../postgres/lsn.ts'
import { segmentOf } from '../postgres/segment-name.ts'
import { isSameHistory } from '../postgres/timeline.ts'
import { earlierLsn } from '../wal/wal-position.ts'
import { type ClusterContext, orElse } from '../cluster/context.ts'
import type { ServerWanted } from '../cluster/wanted.ts'
import { readRepositoryHistory } from './line.ts'
import { reachOfWal, segmentNameAt, type Standing, type WalReader } from './wal-reach.ts'
import { directoryReader, receivedByRepository, repositoryReader } from './wal-readers.ts'

/** A place that holds WAL. */
export interface WalSource {
  /** Server, or the backup server. */
  readonly name: string
  /** After the last byte it holds without a hole from the position asked about. */
  readonly endLsn: Lsn
  /** Why it may hold more than that, or have held it; undefined when that is the end. */
  readonly doubt: string | undefined
  /** Up to where it is known to have had it, read or not. */
  readonly hadLsn: Lsn
  /** A whole segment by its name, its unfinished end as it is; undefined when it is gone. */
  readonly readSegment: (name: string) => Promise<Buffer | undefined>
}

/** The backup server's WAL, its receiver's spool included. */
export interface RepositorySource extends WalSource {
  /** Up to where nothing of its WAL is missing, as far as that is known. */
  readonly wholeLsn: Lsn | undefined
}

/**
 * The WAL in a server's directory, read to its last valid record. Undefined when it does not reach
 * the position.
 * @param receivedLsn up to where a standby says that it has it.
 * @throws what reading throws: a directory that cannot be read is not one without WAL.
 */
export async function directorySource(
  context: ClusterContext,
  server: ServerWanted,
  place: { readonly standing: Standing; readonly receivedLsn?: Lsn | undefined },
): Promise<WalSource | undefined> {
  const reader = await directoryReader(context, server, place.standing.segmentBytes)
  const { standing, receivedLsn } = place
  const reach = await reachOfWal(reader, standing, receivedLsn)
  if (reach === undefined) return undefined
  const hadLsn = laterLsn(reach.endLsn, receivedLsn)
  return { name: server.name, ...reach, hadLsn, readSegment: reader.readSegment }
}

/**
 * The backup server's WAL, its receiver's spool included, read on its own machine. Undefined
 * without a backup server, when it cannot be reached, and when it does not hold the WAL there, or
 * that of another timeline of the same number.
 */
export async function repositorySource(
  context: ClusterContext,
  standing: Standing,
): Promise<RepositorySource | undefined> {
  const { backup } = context.wanted
  if (backup === undefined) return undefined
  const reader = repositoryReader(context, backup, standing.segmentBytes)
  return await orElse(async () => {
    const there = await readRepositoryHistory(context, backup, standing.timeline)
    const { history } = standing
    const isSame = history !== undefined && there !== undefined && isSameHistory(history, there)
    if (!isSame) return undefined
    // Asked first: what comes while it is read is more than that.
    const received = await receivedByRepository(context, backup)
    const reach = await reachOfReceived(reader, standing, received)
    if (reach === undefined) return undefined
    const wholeLsn = wholeOf(reach.endLsn, standing, received)
    return { name: backup.name, ...reach, wholeLsn, readSegment: reader.readSegment }
  }, undefined)
}

type Received = Awaited<ReturnType<typeof receivedByRepository>>

/**
 * Read to its end, which cannot be before what was said to be safe there: that is what commits were
 * confirmed with.
 */
async function reachOfReceived(
  reader: WalReader,
  standing: Standing,
  received: Received,
): Promise<Pick<WalSource, 'endLsn' | 'doubt' | 'hadLsn'> | undefined> {
  const isOfHere = typeof received === 'object' && received.timeline === standing.timeline
  const hadLsn = isOfHere && received.lsn > standing.lsn ? received.lsn : undefined
  const had = hadLsn === undefined ? undefined : await reachOfWal(reader, standing, hadLsn)
  if (had?.doubt !== undefined) return { ...had, hadLsn: laterLsn(had.endLsn, hadLsn) }
  const reach = await reachOfWal(reader, { ...standing, lsn: had?.endLsn ?? standing.lsn })
  if (reach === undefined) return undefined
  const silence = received === undefined ? 'it does not say how far it had come' : undefined
  const doubt = reach.doubt ?? silence
  return { ...reach, doubt, hadLsn: laterLsn(reach.endLsn, hadLsn) }
}

function wholeOf(endLsn: Lsn, standing: Standing, received: Received): Lsn | undefined {
  if (endLsn > standing.lsn) return endLsn
  const isOfHere = typeof received === 'object' && received.timeline === standing.timeline
  return isOfHere ? earlierLsn(received.lsn, standing.lsn) : undefined
}

function laterLsn(one: Lsn, other: Lsn | undefined): Lsn {
  return other === undefined || other < one ? one : other
}

/** Names of the segments from where a candidate stands to `endLsn`. */
export function segmentsBetween(standing: Standing, endLsn: Lsn): readonly string[] {
  const { lsn } = standing
  if (endLsn <= lsn) return []
  const first = segmentOf(lsn, standing).number
  const last = segmentOf(addBytes(endLsn, -1), standing).number
  return Array.from({ length: Number(last - first) + 1 }, (_, index) =>
    segmentNameAt(standing, first + BigInt(index)),
  )
}
