/**
 * What the directory of a lost primary holds from where the candidate stands. That both are on one
 * timeline does not make its WAL the candidate's: it may have been set back to an older state. Then
 * it has to be read from a place that is its own.
 */
import { formatLsn, type Lsn } from '../postgres/lsn.ts'
import { type ClusterContext, orElse } from '../cluster/context.ts'
import type { ServerFound } from '../cluster/found.ts'
import { isMember, type MemberFound } from '../cluster/leader.ts'
import type { FailoverPlan } from './failover-plan.ts'
import { compareWal } from './same-wal.ts'
import { reachOfWal, type Standing, type WalReader } from './wal-reach.ts'
import { directoryReader } from './wal-readers.ts'
import { directorySource, type WalSource } from './wal-sources.ts'
import { wantedServer } from '../cluster/wanted-server.ts'

const BLOCK_BYTES = 8192
/** A long page header has 40 bytes. */
const HEADER_BYTES_MAX = 40

/** The WAL that the old primary's directory still holds, compared with the candidate's. */
export interface OldWal {
  /** What can be handed to the candidate. */
  readonly source: WalSource | undefined
  /**
   * Why its end cannot be told, one sentence without full stop; undefined when `source` is all of
   * it.
   */
  readonly doubt: string | undefined
  /**
   * Whether it is not what the candidate has: then what standbys confirmed was something else, too.
   */
  readonly isOther: boolean
}

/** Reads it. What cannot be read is not there. */
export async function readOldWal(
  context: ClusterContext,
  plan: FailoverPlan,
  standing: Standing,
): Promise<OldWal> {
  return await orElse(async () => {
    const identity = await context.state.readIdentity()
    if (!isMember({ identity }, plan.from)) return NONE
    return (
      (await judgeBefore(context, plan, standing)) ?? (await readAfter(context, plan, standing))
    )
  }, NONE)
}

const NONE: OldWal = { source: undefined, doubt: undefined, isOther: false }

/** Undefined when it holds what the candidate has up to where that stands. */
async function judgeBefore(
  context: ClusterContext,
  plan: FailoverPlan,
  standing: Standing,
): Promise<OldWal | undefined> {
  const { lsn, segmentBytes } = standing
  const readerOf = async ({ name }: ServerFound): Promise<WalReader> =>
    directoryReader(context, wantedServer(context.wanted, name), segmentBytes)
  const reader = await readerOf(plan.from)
  const own = ownBoundary(plan.from as MemberFound, lsn)
  if (own !== undefined && own < lsn) {
    const reach = await reachOfWal(reader, { ...standing, lsn: own }, lsn)
    if (reach === undefined) return { ...NONE, doubt: 'that from its last checkpoint on is gone' }
    if (!isBoundary(reach.endLsn, lsn))
      return other(plan, `no record of it ends at ${formatLsn(lsn)}`)
  }
  const theirs = { reader: await readerOf(plan.to), standing }
  const match = await compareWal({ reader, standing }, theirs, lsn)
  if (match === 'different') return other(plan, `it is another before ${formatLsn(lsn)}`)
  return undefined
}

function other({ to }: FailoverPlan, why: string): OldWal {
  const doubt = `${why}, up to where "${to.name}" has replayed: one of the two was set back to an older state, or WAL of it is damaged`
  return { source: undefined, doubt, isOther: true }
}

/**
 * The last place known to be between two records that it wrote itself, where that is not behind the
 * candidate.
 */
function ownBoundary({ directory }: MemberFound, lsn: Lsn): Lsn | undefined {
  const { lsn: recordLsn, redoLsn } = directory.control.checkpoint
  return [recordLsn, redoLsn].find((each) => each <= lsn)
}

/**
 * Whether a record ends there; the header of a page may lie between the end of one and the next.
 */
function isBoundary(endLsn: Lsn, lsn: Lsn): boolean {
  const isHeader = endLsn % BigInt(BLOCK_BYTES) === 0n && lsn - endLsn <= BigInt(HEADER_BYTES_MAX)
  return endLsn === lsn || (endLsn < lsn && isHeader)
}

async function readAfter(
  context: ClusterContext,
  { from }: FailoverPlan,
  standing: Standing,
): Promise<OldWal> {
  const server = wantedServer(context.wanted, from.name)
  const source = await directorySource(context, server, { standing })
  const { lsn } = (from as MemberFound).directory.control.checkpoint
  if (source === undefined || source.endLsn > lsn) {
    return { source, doubt: source?.doubt, isOther: false }
  }
  const behind = `it can be read up to ${formatLsn(source.endLsn)}, and its last checkpoint is behind that`
  const doubt = source.doubt ?? behind
  return { source: { ...source, doubt }, doubt, isOther: false }
}
