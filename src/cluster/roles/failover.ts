/**
 * Makes a standby the primary because the primary is lost. Says what would be lost before anything is done, and refuses
 * what was not allowed; what others hold of the lost primary's WAL is given to the candidate first.
 *
 *   fence ─► freeze ─► feed ─► promote ─► settle
 */
import { type BackstayError, isBackstayError } from '../../errors/backstay-error.ts'
import type { ClusterContext } from '../context.ts'
import { lockCluster } from '../lock.ts'
import type { ClusterFound } from '../found.ts'
import { lookCluster, lookOneServer } from '../look/look.ts'
import { isStreaming } from '../plan/attach-plan.ts'
import { isMember } from '../plan/leader.ts'
import { errorOf, type Problem, problemOf } from '../plan/problem.ts'
import { bringUpLocked } from '../up.ts'
import {
  type Consent,
  type FailoverPlan,
  forbids,
  type Loss,
  planFailover,
} from './failover-plan.ts'
import {
  closeJournal,
  type FailoverJournal,
  readJournal,
  type RoleJournal,
  unfinished,
  writeJournal,
} from './journal.ts'
import { withoutHostOf } from './away.ts'
import { awaitSilence } from './life-signs.ts'
import { measureLoss } from './measure-loss.ts'
import { takeOver } from './take-over.ts'
import { wakeCandidate } from './wake-candidate.ts'

/** What is asked for, and what is allowed. */
export interface FailoverOptions extends Consent {
  readonly to?: string
  /** Only say what would be done and lost. */
  readonly planOnly: boolean
}

/** What became of it. */
export interface FailoverResult {
  readonly plan: FailoverPlan | undefined
  readonly loss: Loss | undefined
  readonly from: string
  readonly primary: string | undefined
  /** Of the new primary; undefined when it was only planned. */
  readonly timeline: number | undefined
  /** Whether the old primary streams from the new one already. */
  readonly isFollowed: boolean
  /** What stands against it (planned), or is left to do (done). */
  readonly problems: readonly Problem[]
}

/**
 * Fails over, or goes on with a failover that died.
 * @throws NOT_READY, PRIMARY_MISSING, SPLIT_BRAIN, DATA_LOSS before anything is changed; what a step throws: then the same
 * command goes on.
 */
export async function failOver(
  context: ClusterContext,
  options: FailoverOptions,
): Promise<FailoverResult> {
  await using lock = await lockCluster(context, 'failover')
  void lock
  const journal = await readJournal(context)
  if (journal === undefined || options.planOnly) return await begin(context, options)
  const resumed = await resume(context, journal, options)
  if (resumed === undefined) return await begin(context, { ...toOf(journal), ...options })
  return await settle(context, resumed, { plan: undefined, loss: undefined })
}

function toOf(journal: RoleJournal): { readonly to?: string } {
  return journal.operation === 'failover' ? { to: journal.to } : {}
}

/** The journal to settle when the promotion has happened; undefined to begin anew. */
async function resume(
  context: ClusterContext,
  journal: RoleJournal,
  options: FailoverOptions,
): Promise<FailoverJournal | undefined> {
  if (journal.operation === 'rejoin') return undefined
  const found = await lookCluster(context, { forPlan: false })
  const to = found.servers.find(({ name }) => name === journal.to)
  const isPromoted = to?.sql?.inRecovery === false
  if (journal.operation === 'failover' && isPromoted) return journal
  if (journal.operation === 'switchover' && isPromoted) throw unfinished(journal)
  const mayBePromoted = journal.phase === 'promote' || journal.phase === 'settle'
  const isKnown = to?.sql !== undefined
  if (mayBePromoted && !isKnown && !options.allowDataLoss) throw unfinished(journal)
  if (journal.operation === 'failover' && !isKnown) await wakeCandidate(context, journal.to, to)
  return undefined
}

async function begin(context: ClusterContext, options: FailoverOptions): Promise<FailoverResult> {
  const found = await lookCluster(context, { forPlan: false })
  const note = await context.state.readLeader()
  const decision = planFailover(context.wanted, found, { to: options.to, note })
  if (decision.kind === 'refused') throw errorOf(decision.problems)
  const { plan } = decision
  const { loss } = await measureLoss(context, plan)
  const problem = forbids(plan, loss, options)
  const from = plan.from.name
  if (options.planOnly) {
    const problems = problem === undefined ? [] : [problem]
    const primary = plan.to.name
    return { plan, loss, from, primary, timeline: undefined, isFollowed: false, problems }
  }
  if (problem !== undefined) throw errorOf([problem])
  if (plan.fencing === 'unreachable' && !options.primaryIsDead) await listen(context, plan)
  const journal: FailoverJournal = {
    operation: 'failover',
    from,
    to: plan.to.name,
    timeline: plan.to.directory.timeline,
    phase: 'fence',
    startedAt: new Date(context.clock.now()).toISOString(),
  }
  const near = withoutHostOf(context, plan.from)
  const settled = await takeOver(near, { plan, journal, consent: options })
  return await settle(near, journal, { plan, loss: settled })
}

/** Two signals are needed: it does not answer us, and it has fallen silent to its standbys. */
async function listen(context: ClusterContext, plan: FailoverPlan): Promise<void> {
  const standbys = [plan.to, ...plan.others]
  await Promise.all(standbys.map(async ({ name }) => awaitSilence(context, name, plan.from.name)))
}

/** The new primary serves; what is left is `up`'s work, and its failure does not make the failover one. */
async function settle(
  context: ClusterContext,
  journal: FailoverJournal,
  known: { readonly plan: FailoverPlan | undefined; readonly loss: Loss | undefined },
): Promise<FailoverResult> {
  await writeJournal(context, { ...journal, phase: 'settle' })
  const { found, problems } = await finish(context, journal)
  await closeJournal(context)
  const from = found.servers.find(({ name }) => name === journal.from)
  const sql = found.servers.find(({ name }) => name === journal.to)?.sql
  const isFollowed = from !== undefined && isStreaming(sql, from)
  const facts = { from: journal.from, primary: journal.to, timeline: sql?.timeline }
  return { ...known, ...facts, isFollowed, problems }
}

async function finish(
  context: ClusterContext,
  journal: FailoverJournal,
): Promise<{ readonly found: ClusterFound; readonly problems: readonly Problem[] }> {
  // Somebody may have taken it out of the cluster file meanwhile.
  const server = context.wanted.servers.find(({ name }) => name === journal.from)
  const from = server && (await lookOneServer(context, server))
  const identity = await context.state.readIdentity()
  // A directory that is lost is built anew when the operator says so, not in the middle of the night.
  const except = from !== undefined && isMember({ identity }, from) ? [] : [journal.from]
  const near = from === undefined ? context : withoutHostOf(context, from)
  try {
    return await bringUpLocked(near, except)
  } catch (error) {
    if (!isBackstayError(error) || context.signal.aborted) throw error
    const problems = [problemOf(journal.from, errorFacts(error))]
    return { found: await lookCluster(near, { forPlan: false }), problems }
  }
}

function errorFacts(error: BackstayError): Pick<BackstayError, 'code' | 'message' | 'hint'> {
  const { code, message, hint } = error
  return { code, message, hint }
}
