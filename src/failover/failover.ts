/**
 * Makes a standby the primary because the primary is lost. Says what would be lost before anything
 * is done, and refuses what was not allowed; what others hold of the lost primary's WAL is given to
 * the candidate first.
 *
 *   fence ─► freeze ─► feed ─► promote ─► settle
 */
import { BackstayError, isBackstayError } from '../errors/backstay-error.ts'
import type { ClusterContext } from '../cluster/context.ts'
import { lockCluster } from '../cluster/lock.ts'
import type { ClusterFound } from '../cluster/found.ts'
import { lookCluster, lookOneServer } from '../cluster/look/look.ts'
import { isStreaming } from '../build/plan/attach-plan.ts'
import { isMember, type MemberFound } from '../cluster/leader.ts'
import { errorOf, type Problem, problemOf } from '../cluster/problem.ts'
import { bringUpLocked } from '../build/up.ts'
import { type FailoverPlan, planFailover } from './failover-plan.ts'
import { type Consent, forbids, type Loss } from './loss.ts'
import {
  closeJournal,
  type FailoverJournal,
  readJournal,
  type RoleJournal,
  unfinished,
  writeJournal,
} from '../cluster/journal.ts'
import { withoutHostOf } from './away.ts'
import { lookLines, rememberedLine } from './line.ts'
import { lookLocked } from './look-locked.ts'
import { measureLoss } from './measure-loss.ts'
import { noteLeader } from '../cluster/leader-note.ts'
import { requireSilence } from './silence.ts'
import { startIfProved } from './start-crashed.ts'
import { takeOver } from './take-over.ts'
import { wakeCandidate } from './wake-candidate.ts'

/** Of a primary that hangs, until nothing is in doubt. */
const HUNG_LOOKS = 5
const HUNG_PAUSE_MS = 500

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
 * @throws NOT_READY, PRIMARY_MISSING, SPLIT_BRAIN, DATA_LOSS before anything is changed; what a
 * step throws: then the same command goes on.
 */
export async function failOver(
  context: ClusterContext,
  options: FailoverOptions,
): Promise<FailoverResult> {
  await using lock = await lockCluster(context, 'failover')
  void lock
  const journal = await readJournal(context)
  if (journal === undefined || options.planOnly) {
    return await begin(context, options, journal)
  }
  const resumed = await resume(context, journal, options)
  if (resumed === undefined) {
    return await begin(context, { ...toOf(journal), ...options }, journal)
  }
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
  if (journal.operation === 'switchover') return undefined
  await giveUpServed(context, journal, found)
  if (!isKnown) await wakeCandidate(context, journal.to, to)
  return undefined
}

/**
 * A lost primary that came back, or somebody else's: nothing is left of this failover that could be
 * gone on with.
 * @throws NOT_READY when a server answers as the primary.
 */
async function giveUpServed(
  context: ClusterContext,
  { from, to }: FailoverJournal,
  found: ClusterFound,
): Promise<void> {
  const members = found.servers.filter((server) => isMember(found, server))
  const serving = members.find(({ sql }) => sql?.inRecovery === false)
  if (serving === undefined) return
  await closeJournal(context)
  throw new BackstayError(
    'NOT_READY',
    `The failover from "${from}" to "${to}" is given up: "${serving.name}" answers as the primary`,
    { hint: 'Run backstay status, then backstay up.' },
  )
}

/** What was decided on, and how it looks. */
interface JudgedFailover {
  readonly plan: FailoverPlan
  readonly loss: Loss
  /** Why it may not be done. */
  readonly problem: Problem | undefined
}

async function begin(
  context: ClusterContext,
  options: FailoverOptions,
  died: RoleJournal | undefined,
): Promise<FailoverResult> {
  const resumed = died === undefined || died.operation === 'rejoin' ? undefined : died.from
  const wish = { ...options, resumed }
  if (options.planOnly) {
    return asPlan(await judge(context, await lookCluster(context, { forPlan: false }), wish))
  }
  const { found, roles: held } = await lookLocked(context, { forPlan: false })
  await using roles = held
  const { plan, problem } = await judge(context, found, wish)
  if (problem !== undefined) throw errorOf([problem])
  if (!options.primaryIsDead) await requireSilence(context, plan)
  const journal: FailoverJournal = {
    operation: 'failover',
    from: plan.from.name,
    to: plan.to.name,
    timeline: plan.to.directory.timeline,
    phase: 'fence',
    startedAt: new Date(context.clock.now()).toISOString(),
  }
  const near = withoutHostOf(context, plan.from)
  const settled = await takeOver(near, { plan, journal, consent: options, roles })
  return await settle(near, journal, { plan, loss: settled })
}

/** @throws NOT_READY, PRIMARY_MISSING, SPLIT_BRAIN when there is nothing to decide on. */
async function judge(
  context: ClusterContext,
  found: ClusterFound,
  wish: FailoverOptions & { readonly resumed: string | undefined },
): Promise<JudgedFailover> {
  const { to, resumed } = wish
  const note = found.lastPrimary
  const lines = await lookLines(context, found)
  const remembered = note && (await rememberedLine(context, note, lines))
  const known = { to, note, lines, remembered, resumed }
  const decision = planFailover(context.wanted, found, known)
  if (decision.kind === 'refused') throw errorOf(decision.problems)
  const { plan } = decision
  const loss = await measureSteadily(context, plan)
  return { plan, loss, problem: forbids(plan, loss, wish) }
}

/**
 * Sessions of a primary that hangs go on writing, so it and the others are read at different
 * moments: a doubt is looked at again. It is measured once more when the primary was ended.
 */
async function measureSteadily(context: ClusterContext, plan: FailoverPlan): Promise<Loss> {
  let { loss } = await measureLoss(context, plan)
  const looks = plan.fencing === 'hung' ? HUNG_LOOKS : 1
  for (let look = 1; look < looks && loss.kind === 'unknown'; look += 1) {
    await context.clock.sleep(HUNG_PAUSE_MS, context.signal)
    loss = (await measureLoss(context, plan)).loss
  }
  return loss
}

function asPlan({ plan, loss, problem }: JudgedFailover): FailoverResult {
  const problems = problem === undefined ? [] : [problem]
  const facts = { from: plan.from.name, primary: plan.to.name, timeline: undefined }
  return { plan, loss, ...facts, isFollowed: false, problems }
}

/**
 * The new primary serves; what is left is `up`'s work, and its failure does not make the failover
 * one.
 */
async function settle(
  context: ClusterContext,
  journal: FailoverJournal,
  known: { readonly plan: FailoverPlan | undefined; readonly loss: Loss | undefined },
): Promise<FailoverResult> {
  await writeJournal(context, { ...journal, phase: 'settle' })
  const { found, problems } = await finish(context, journal, known.loss?.isAllRead === true)
  // An `up` that met a trouble did not come to it.
  await noteLeader(context, found)
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
  isAllRead: boolean,
): Promise<{ readonly found: ClusterFound; readonly problems: readonly Problem[] }> {
  // Somebody may have taken it out of the cluster file meanwhile.
  const server = context.wanted.servers.find(({ name }) => name === journal.from)
  const from = server && (await lookOneServer(context, server))
  const identity = await context.state.readIdentity()
  // A directory that is lost is built anew when the operator says so, not in the middle of the
  // night.
  const except = from !== undefined && isMember({ identity }, from) ? [] : [journal.from]
  const near = from === undefined ? context : withoutHostOf(context, from)
  const problems: Problem[] = []
  const tell = (error: unknown): void => {
    if (!isBackstayError(error) || context.signal.aborted) throw error
    problems.push(problemOf(journal.from, errorFacts(error)))
  }
  if (from !== undefined && isMember({ identity }, from) && isStoppedCrash(from)) {
    await startIfProved(near, { from, to: journal.to, isAllRead }).catch(tell)
  }
  // One that does not start must not keep the others from following.
  const others = problems.length > 0 ? [...except, journal.from] : except
  try {
    const up = await bringUpLocked(near, others)
    return { found: up.found, problems: [...up.problems, ...problems] }
  } catch (error) {
    tell(error)
    return { found: await lookCluster(near, { forPlan: false }), problems }
  }
}

function isStoppedCrash({ directory, running }: MemberFound): boolean {
  return directory.isCrashedPrimary === true && running === undefined
}

function errorFacts(error: BackstayError): Pick<BackstayError, 'code' | 'message' | 'hint'> {
  const { code, message, hint } = error
  return { code, message, hint }
}
