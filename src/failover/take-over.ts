/**
 * The steps of a failover: the old primary is kept from serving, the standbys hear of no other any
 * more, the best WAL goes to the candidate, and it becomes the primary.
 */
import { isBackstayError } from '../errors/backstay-error.ts'
import type { ClusterContext } from '../cluster/context.ts'
import { applySteps, takeStep } from '../build/apply.ts'
import { lookOneServer } from '../cluster/look/look.ts'
import { openAdminSql } from '../cluster/look/connect.ts'
import { isMember, type MemberFound } from '../cluster/leader.ts'
import { errorOf } from '../cluster/problem.ts'
import { requireAsPlanned } from './as-planned.ts'
import { type FailoverPlan } from './failover-plan.ts'
import { type Consent, forbids, type Loss } from './loss.ts'
import { fencePrimary } from './fence.ts'
import { feedCandidate } from './feed.ts'
import { followSteps, slotSteps } from './follow.ts'
import { matchStandbys } from './compare-holders.ts'
import { closeJournal, type FailoverJournal, writeJournal } from '../cluster/journal.ts'
import { unseenHistories } from './histories.ts'
import { fenceParted, joiningOf, stopParted } from './keep-apart.ts'
import { measureLoss, standingOf } from './measure-loss.ts'
import { checkpoint, promoteStandby } from './promote.ts'
import type { RolesLock } from './role-lock.ts'
import { unfence } from './roll-back.ts'
import { wantedServer } from '../cluster/wanted-server.ts'

/** Who takes over, what was written down, and what was allowed. */
export interface TakeOver {
  readonly plan: FailoverPlan
  readonly journal: FailoverJournal
  readonly consent: Consent
  readonly roles: RolesLock
}

/**
 * Takes over. Returns what is lost.
 * @throws DATA_LOSS when more is lost than could be seen before; NOT_READY when the lock was lost
 * or another Backstay changed roles: then nobody is promoted.
 */
export async function takeOver(context: ClusterContext, decided: TakeOver): Promise<Loss> {
  const course = { ...decided, plan: await compared(context, decided.plan) }
  const { plan, journal, roles } = course
  await writeJournal(context, { ...journal, phase: 'fence' })
  await roles.hold()
  if (plan.fencing === 'stopped' || plan.fencing === 'hung') {
    await fence(context, plan)
  }
  await writeJournal(context, { ...journal, phase: 'freeze' })
  await roles.hold()
  await freeze(context, course)
  // Before the candidate is stopped to be fed, and again after it: at no time is it open to
  // everybody.
  await roles.hold()
  const loss = await feed(context, course)
  await fenceParted(context, plan)
  await roles.hold()
  await writeJournal(context, { ...journal, phase: 'promote' })
  await promote(context, plan.to.name, roles)
  await stopParted(context, plan)
  return loss
}

/**
 * Before anybody is turned to the candidate: afterwards two that parted may hold the same last
 * bytes.
 */
async function compared(context: ClusterContext, plan: FailoverPlan): Promise<FailoverPlan> {
  const beside = await matchStandbys(context, plan, standingOf(plan))
  if (![...beside.values()].includes('unknown')) return { ...plan, beside }
  // The backup server may have the WAL that the candidate has not any more.
  const { matches } = await measureLoss(context, { ...plan, beside })
  return { ...plan, beside: matches }
}

async function fence(context: ClusterContext, plan: FailoverPlan): Promise<void> {
  try {
    await fencePrimary(context, plan.from as MemberFound, plan.to.name)
  } catch (error) {
    // It has been started meanwhile and may serve: the mark would make a standby of it at some
    // later start.
    if (isBackstayError(error, 'NOT_READY')) await giveUp(context, plan)
    throw error
  }
}

/**
 * The other standbys turn to the candidate, as far as their WAL is its own: from here on nothing
 * the old primary writes can be confirmed by them.
 */
async function freeze(context: ClusterContext, { plan, roles }: TakeOver): Promise<void> {
  const { wanted } = context
  const { to } = plan
  const slots = { to: to.name, slots: to.sql.slots, oldSlots: [] }
  await applySteps(context, slotSteps(wanted, slots))
  for (const other of joiningOf(plan)) {
    const steps = followSteps(wanted, other, to.name)
    await applySteps(context, steps)
    if (steps.some(({ action }) => action === 'restart')) await roles.retake(other.name)
  }
}

/** Now nothing moves any more: what is measured is final. */
async function feed(context: ClusterContext, course: TakeOver): Promise<Loss> {
  const { plan, journal, consent, roles } = course
  const now = await asNow(context, plan)
  const { loss, standing, sources } = await measureLoss(context, now)
  const problem = forbids(now, loss, consent)
  if (problem !== undefined) {
    await giveUp(context, now)
    throw errorOf([problem])
  }
  const [best] = sources
  if (best === undefined) return loss
  await writeJournal(context, { ...journal, phase: 'feed' })
  await roles.hold()
  await feedCandidate(context, { to: plan.to.name, standing }, best)
  await roles.retake(plan.to.name)
  await requireAsPlanned(context, plan)
  return loss
}

/** The old primary may be started again; `up` turns the standbys back to it. */
async function giveUp(context: ClusterContext, plan: FailoverPlan): Promise<void> {
  if (plan.fencing === 'stopped' || plan.fencing === 'hung') {
    await unfence(context, wantedServer(context.wanted, plan.from.name))
  }
  await closeJournal(context)
}

/**
 * The candidate where it stands now. Nobody else is asked: one that is away would be waited for.
 */
async function asNow(context: ClusterContext, plan: FailoverPlan): Promise<FailoverPlan> {
  const to = await lookOneServer(context, wantedServer(context.wanted, plan.to.name))
  const identity = await context.state.readIdentity()
  if (to.sql === undefined || !isMember({ identity }, to)) return plan
  return { ...plan, to: { ...to, sql: to.sql } }
}

async function promote(context: ClusterContext, name: string, roles: RolesLock): Promise<void> {
  const server = wantedServer(context.wanted, name)
  await using sql = await openAdminSql(context, server)
  const histories = await unseenHistories(context, server)
  await roles.hold()
  const told = { id: `${name}.promote`, server: name, title: 'become the primary' }
  const promotion = { server, histories, roles }
  await takeStep(context, told, async () => promoteStandby(context, promotion, sql))
  const checked = { id: `${name}.checkpoint`, server: name, title: 'checkpoint' }
  await takeStep(context, checked, async () => checkpoint(context, server))
}
