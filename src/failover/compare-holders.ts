/**
 * Whether those who hold WAL beside a candidate hold the candidate's own: one that was not set back
 * with the others, or a backup server that received from before, has other WAL on the same
 * timeline.
 *
 * Compared is up to the lower of the two positions: the segment there and the one before. That is
 * enough: of two that parted earlier all later commits and checkpoints have other times, and a
 * segment without any of these is hardly ever written. Zeros behind where one of them ends are
 * nobody's WAL, so its own position counts, not the candidate's.
 */
import { type Lsn, toLsn } from '../postgres/lsn.ts'
import { segmentOf, segmentStart } from '../postgres/segment-name.ts'
import { earlierLsn } from '../wal/wal-position.ts'
import { type ClusterContext, orElse } from '../cluster/context.ts'
import type { FailoverPlan } from './failover-plan.ts'
import { relationOf } from './line.ts'
import { compareWal, type WalMatch, type NamedWal } from './same-wal.ts'
import type { Standing } from './wal-reach.ts'
import { directoryReader } from './wal-readers.ts'
import type { RepositorySource } from './wal-sources.ts'
import { wantedServer } from '../cluster/wanted-server.ts'

/**
 * By the names of standbys on the candidate's timeline, the candidate left out. What cannot be read
 * is `unknown`.
 */
export async function matchStandbys(
  context: ClusterContext,
  plan: FailoverPlan,
  standing: Standing,
): Promise<ReadonlyMap<string, WalMatch>> {
  const { lines, to, others } = plan
  const own = lines.get(to.name)
  const alike = others.filter(({ name }) => relationOf(own, lines.get(name)) === 'same')
  const matches = alike.map(async ({ name }): Promise<[string, WalMatch]> => {
    const lsn = lines.get(name)?.hasLsn
    if (lsn === undefined) return [name, 'unknown']
    const match = orElse<WalMatch, WalMatch>(async () => {
      const theirs = await directoryOf(context, name, standing)
      return compareWal(theirs, await directoryOf(context, to.name, standing), lowerOf(plan, lsn))
    }, 'unknown')
    return [name, await match]
  })
  return new Map(await Promise.all(matches))
}

/** The backup server's WAL. */
export async function matchRepository(
  context: ClusterContext,
  plan: FailoverPlan,
  { source, standing }: { readonly source: RepositorySource; readonly standing: Standing },
): Promise<WalMatch> {
  const { lsn, segmentBytes } = standing
  const startLsn = segmentStart(segmentOf(toLsn(lsn - 1n), standing), segmentBytes)
  return orElse<WalMatch, WalMatch>(async () => {
    const own = await directoryOf(context, plan.to.name, standing)
    return compareWal({ reader: source, standing }, own, lowerOf(plan, source.wholeLsn ?? startLsn))
  }, 'unknown')
}

/**
 * The same for those of which the candidate has no such old WAL any more: the backup server has,
 * when its own is the candidate's.
 */
export async function matchThrough(
  context: ClusterContext,
  plan: FailoverPlan,
  known: {
    readonly matches: ReadonlyMap<string, WalMatch>
    readonly source: RepositorySource
    readonly standing: Standing
  },
): Promise<ReadonlyMap<string, WalMatch>> {
  const { matches, source, standing } = known
  const through = [...matches].map(async ([name, match]): Promise<[string, WalMatch]> => {
    const lsn = plan.lines.get(name)?.hasLsn
    if (match !== 'unknown' || lsn === undefined) return [name, match]
    const again = orElse<WalMatch, WalMatch>(async () => {
      const theirs = await directoryOf(context, name, standing)
      return compareWal(theirs, { reader: source, standing }, lowerOf(plan, lsn))
    }, 'unknown')
    return [name, await again]
  })
  return new Map(await Promise.all(through))
}

function lowerOf({ lines, to }: FailoverPlan, lsn: Lsn): Lsn {
  return earlierLsn(lsn, lines.get(to.name)?.hasLsn ?? lsn)
}

async function directoryOf(
  context: ClusterContext,
  name: string,
  standing: Standing,
): Promise<NamedWal> {
  const server = wantedServer(context.wanted, name)
  return { reader: await directoryReader(context, server, standing.segmentBytes), standing }
}
