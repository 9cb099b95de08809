/**
 * Hands the role of the primary to a standby without losing a commit, and gives it back when
 * anything goes wrong.
 *
 *   prepare ─► stop ─► fence ─► prove ─► promote ─► settle
 *                └───────┴────────┴──► the old primary serves again
 */
import { BackstayError } from '../errors/backstay-error.ts'
import { applySteps, type StepTold, takeStep } from '../build/apply.ts'
import type { ClusterContext } from '../cluster/context.ts'
import type { ClusterFound } from '../cluster/found.ts'
import { lockCluster } from '../cluster/lock.ts'
import { lookCluster } from '../cluster/look/look.ts'
import type { MemberFound } from '../cluster/leader.ts'
import { errorOf, type Problem } from '../cluster/problem.ts'
import { bringUpLocked, type UpResult } from '../build/up.ts'
import { verifyCluster, type VerifyResult } from '../build/verify.ts'
import { dropSteps, foreignSlots } from './follow.ts'
import {
  closeJournal,
  readJournal,
  type SwitchoverJournal,
  unfinished,
  writeJournal,
} from '../cluster/journal.ts'
import type { GivingUp } from './give-up-target.ts'
import { handOver } from './hand-over.ts'
import { lookLocked } from './look-locked.ts'
import { prepareCandidate } from './prepare-candidate.ts'
import { resumeSwitchover } from './resume-switchover.ts'
import { lostSlots } from './lost-slots.ts'
import {
  lostSlotNote,
  planSwitchover,
  type SwitchDecision,
  type SwitchPlan,
} from './switch-plan.ts'
import { switchSteps, verifyTold } from './switch-steps.ts'

/** What is asked for. */
export interface SwitchoverOptions {
  /** Name of the standby; the best one when left out. */
  readonly to?: string
  /** Only say what would be done. */
  readonly planOnly?: boolean
  /** Of an interrupted one: what was said of a target that is lost. */
  readonly givingUp?: GivingUp
}

/** What became of it. */
export interface SwitchoverResult {
  /**
   * `already`: the server asked for is the primary; `done`; `undone`: an interrupted one was taken
   * back; `planned`: nothing was changed.
   */
  readonly outcome: 'done' | 'already' | 'undone' | 'planned'
  readonly from: string | undefined
  readonly primary: string
  /** Of the new primary; undefined unless `done`. */
  readonly timeline: number | undefined
  /**
   * From the moment the old primary was told to stop until the new one wrote; undefined unless
   * measured.
   */
  readonly refusedMs: number | undefined
  readonly problems: readonly Problem[]
  readonly proof: VerifyResult | undefined
  /** Only of `planned`. */
  readonly steps?: readonly StepTold[]
}

/**
 * Switches over, or goes on with a switchover that died.
 * @throws NOT_READY, PRIMARY_MISSING, SPLIT_BRAIN before anything is changed; UNFINISHED when
 * another change of roles is half-way; what a step throws, after the old primary serves again.
 */
export async function switchOver(
  context: ClusterContext,
  options: SwitchoverOptions = {},
): Promise<SwitchoverResult> {
  await using lock = await lockCluster(context, 'switchover')
  void lock
  const journal = await readJournal(context)
  if (journal === undefined) {
    return options.planOnly === true ? await plan(context, options) : await begin(context, options)
  }
  if (journal.operation !== 'switchover') throw unfinished(journal)
  if (options.planOnly === true) throw unfinished(journal)
  if (options.to !== undefined && options.to !== journal.to) throw unfinished(journal)
  const lost = (journal.lostSlots ?? []).map((slot) => lostSlotNote(slot, journal))
  for (const { message } of lost)
    context.report({ kind: 'note', server: journal.from, text: message })
  const resumed = await resumeSwitchover(context, journal, options.givingUp ?? NO_GIVING_UP)
  if (resumed.kind === 'anew') return await begin(context, { to: journal.to })
  if (resumed.kind === 'undone') return await settleUndone(context, journal)
  const { timeline } = resumed
  const result = await settle(context, journal, { timeline, refusedMs: undefined })
  return { ...result, problems: [...lost, ...result.problems] }
}

/** Looks, and changes nothing. */
async function plan(context: ClusterContext, { to }: SwitchoverOptions): Promise<SwitchoverResult> {
  const found = await lookCluster(context, { forPlan: true })
  const decision = decide(context, found, to)
  if (decision.kind === 'already') return nothingToDo(decision.primary)
  const { from, to: successor, notes: problems } = decision.plan
  const steps = switchSteps(context.wanted, decision.plan)
  const names = { from: from.name, primary: successor.name }
  return { ...NOTHING, outcome: 'planned', ...names, problems, steps }
}

/** @throws why it cannot be done */
function decide(
  context: ClusterContext,
  found: ClusterFound,
  to: string | undefined,
): Exclude<SwitchDecision, { kind: 'refused' }> {
  const decision = planSwitchover(context.wanted, found, to)
  if (decision.kind === 'refused') throw errorOf(decision.problems)
  return decision
}

function nothingToDo(primary: string): SwitchoverResult {
  return { ...NOTHING, outcome: 'already', from: undefined, primary, problems: [] }
}

async function begin(
  context: ClusterContext,
  options: SwitchoverOptions,
): Promise<SwitchoverResult> {
  const { found, roles: held } = await lookLocked(context, { forPlan: true })
  await using roles = held
  const decision = decide(context, found, options.to)
  if (decision.kind === 'already') return nothingToDo(decision.primary)
  const { plan } = decision
  const journal: SwitchoverJournal = {
    operation: 'switchover',
    from: plan.from.name,
    to: plan.to.name,
    timeline: plan.from.sql.timeline,
    phase: 'prepare',
    carriedSlots: foreignSlots(context.wanted, plan.from.sql.slots).map(({ name }) => name),
    lostSlots: lostSlots(plan.from.sql.slots, plan.to.sql.slots).map(({ name }) => name),
    startedAt: new Date(context.clock.now()).toISOString(),
  }
  for (const { server = '', message } of plan.notes) {
    context.report({ kind: 'note', server, text: message })
  }
  await writeJournal(context, journal)
  const from = await prepare(context, plan)
  const promoted = await handOver(context, { journal, from, others: plan.others, roles })
  const result = await settle(context, journal, promoted)
  return { ...result, problems: [...plan.notes, ...result.problems] }
}

const NO_GIVING_UP = { targetIsDead: false, allowDataLoss: false } as const

const NOTHING = { timeline: undefined, refusedMs: undefined, proof: undefined } as const

/** Nothing has happened to the primary yet: a failure only has to be told. */
async function prepare(context: ClusterContext, plan: SwitchPlan): Promise<MemberFound> {
  try {
    return await prepareCandidate(context, plan)
  } catch (error) {
    await closeJournal(context)
    throw error
  }
}

/**
 * The rest is what `up` does: the new primary is found, and everybody else is brought to follow it.
 */
async function settle(
  context: ClusterContext,
  journal: SwitchoverJournal,
  promoted: { readonly timeline: number; readonly refusedMs: number | undefined },
): Promise<SwitchoverResult> {
  await writeJournal(context, { ...journal, phase: 'settle' })
  const up = await bringUpLocked(context)
  if (up.primary !== journal.to) throw lostPrimary(journal, up)
  if (hasSql(up, journal.from)) {
    await applySteps(context, dropSteps(journal.from, journal.carriedSlots))
  }
  await closeJournal(context)
  const proof = await takeStep(context, verifyTold(journal.to), async () => verifyCluster(context))
  const { from, to } = journal
  return { outcome: 'done', from, primary: to, ...promoted, problems: up.problems, proof }
}

function hasSql({ found }: UpResult, name: string): boolean {
  return found.servers.find((server) => server.name === name)?.sql !== undefined
}

async function settleUndone(
  context: ClusterContext,
  { from }: SwitchoverJournal,
): Promise<SwitchoverResult> {
  const { problems } = await bringUpLocked(context)
  await closeJournal(context)
  return { ...NOTHING, outcome: 'undone', from, primary: from, problems }
}

function lostPrimary({ to }: SwitchoverJournal, { primary }: UpResult): BackstayError {
  return new BackstayError(
    'SPLIT_BRAIN',
    `"${to}" was promoted, but "${primary ?? 'nobody'}" is found as the primary`,
    { hint: 'Run backstay status, and find out who else promotes servers.' },
  )
}
