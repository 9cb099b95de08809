/**
 * Finds out what is left of a lost primary's WAL, and who holds most of it.
 */
import type { Lsn } from '../../postgres/lsn.ts'
import { type ClusterContext, factOf } from '../context.ts'
import { wantedServer } from '../plan/plan.ts'
import { timelineOf } from '../takeover.ts'
import { type FailoverPlan, judgeLoss, type Loss } from './failover-plan.ts'
import type { AnsweringMember } from './switch-plan.ts'
import { directorySource, repositorySource, type Standing, type WalSource } from './wal-sources.ts'

/** The loss, and where the candidate can take WAL from. */
export interface Measured {
  readonly loss: Loss
  readonly standing: Standing
  /** Who holds more than the candidate has, the furthest first. */
  readonly sources: readonly WalSource[]
}

/** Measures. Exact only once the old primary writes no more. */
export async function measureLoss(context: ClusterContext, plan: FailoverPlan): Promise<Measured> {
  const standing = standingOf(plan.to)
  const isReadable = plan.fencing === 'stopped' || plan.fencing === 'hung'
  const alike = plan.others.filter((other) => timelineOf(other) === standing.timeline)
  const [own, old, vault, note, others] = await Promise.all([
    holdings(context, plan.to.name, standing),
    isReadable ? holdings(context, plan.from.name, standing) : undefined,
    repositorySource(context, standing),
    context.state.readLeader(),
    Promise.all(alike.map(async ({ name }) => holdings(context, name, standing))),
  ])
  const all = [own, old, ...others, vault].filter((source) => source !== undefined)
  const loss = judgeLoss({
    plan,
    primaryEndLsn: old?.endLsn,
    reachableEndLsn: all.reduce((end, { endLsn }) => (endLsn > end ? endLsn : end), standing.lsn),
    reporters: [own, ...others, vault].flatMap((source) =>
      source === undefined ? [] : [source.name],
    ),
    synchronousNames: note?.server === plan.from.name ? note.synchronousNames : '',
  })
  return { loss, standing, sources: beyond(all, own?.endLsn ?? standing.lsn) }
}

/** Where a standby's replay stands: a boundary between two records. */
function standingOf(member: AnsweringMember): Standing {
  const { control } = member.directory
  const lsn = member.sql.position.replayed ?? control.checkpoint.redoLsn
  return { timeline: timelineOf(member), lsn, segmentBytes: control.segmentBytes }
}

async function holdings(
  context: ClusterContext,
  server: string,
  standing: Standing,
): Promise<WalSource | undefined> {
  const wanted = wantedServer(context.wanted, server)
  return await unlessFails(async () => directorySource(context, wanted, standing))
}

/** A source that cannot be read is none. */
async function unlessFails<T>(work: () => Promise<T | undefined>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    factOf(error)
    return undefined
  }
}

function beyond(sources: readonly WalSource[], ownEndLsn: Lsn): readonly WalSource[] {
  return sources
    .filter(({ endLsn }) => endLsn > ownEndLsn)
    .sort((one, other) => Number(other.endLsn - one.endLsn))
}
