/**
 * The steps of a failover: the old primary is kept from serving, the standbys hear of no other any more, the best WAL goes to
 * the candidate, and it becomes the primary.
 */
import type { ClusterContext } from '../context.ts'
import { applySteps, takeStep } from '../apply.ts'
import { lookOneServer } from '../look/look.ts'
import { openAdminSql } from '../look/connect.ts'
import { isMember, type MemberFound } from '../plan/leader.ts'
import { wantedServer } from '../plan/plan.ts'
import { errorOf } from '../plan/problem.ts'
import { type Consent, type FailoverPlan, forbids, type Loss } from './failover-plan.ts'
import { fencePrimary } from './fence.ts'
import { feedCandidate } from './feed.ts'
import { followSteps, slotSteps } from './follow.ts'
import { closeJournal, type FailoverJournal, writeJournal } from './journal.ts'
import { measureLoss } from './measure-loss.ts'
import { checkpoint, promoteStandby } from './promote.ts'
import { unfence } from './roll-back.ts'

/** Who takes over, what was written down, and what was allowed. */
export interface TakeOver {
  readonly plan: FailoverPlan
  readonly journal: FailoverJournal
  readonly consent: Consent
}

/** Takes over. Returns what is lost. @throws DATA_LOSS when more is lost than could be seen before. */
export async function takeOver(context: ClusterContext, course: TakeOver): Promise<Loss> {
  const { plan, journal } = course
  await writeJournal(context, { ...journal, phase: 'fence' })
  if (plan.fencing === 'stopped' || plan.fencing === 'hung') {
    await fencePrimary(context, plan.from as MemberFound, plan.to.name)
  }
  await writeJournal(context, { ...journal, phase: 'freeze' })
  await freeze(context, plan)
  const loss = await feed(context, course)
  await writeJournal(context, { ...journal, phase: 'promote' })
  await promote(context, plan.to.name)
  return loss
}

/** The other standbys turn to the candidate: from here on nothing the old primary writes can be confirmed by them. */
async function freeze(context: ClusterContext, plan: FailoverPlan): Promise<void> {
  const { wanted } = context
  const { to, others } = plan
  const slots = { to: to.name, slots: to.sql.slots, oldSlots: [] }
  await applySteps(context, slotSteps(wanted, slots))
  for (const other of others) await applySteps(context, followSteps(wanted, other, to.name))
}

/** Now nothing moves any more: what is measured is final. */
async function feed(context: ClusterContext, { plan, journal, consent }: TakeOver): Promise<Loss> {
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
  await feedCandidate(context, { to: plan.to.name, standing }, best)
  return loss
}

/** The old primary may be started again; `up` turns the standbys back to it. */
async function giveUp(context: ClusterContext, plan: FailoverPlan): Promise<void> {
  if (plan.fencing === 'stopped' || plan.fencing === 'hung') {
    await unfence(context, wantedServer(context.wanted, plan.from.name))
  }
  await closeJournal(context)
}

/** The candidate where it stands now. Nobody else is asked: one that is away would be waited for. */
async function asNow(context: ClusterContext, plan: FailoverPlan): Promise<FailoverPlan> {
  const to = await lookOneServer(context, wantedServer(context.wanted, plan.to.name))
  const identity = await context.state.readIdentity()
  if (to.sql === undefined || !isMember({ identity }, to)) return plan
  return { ...plan, to: { ...to, sql: to.sql } }
}

async function promote(context: ClusterContext, name: string): Promise<void> {
  const server = wantedServer(context.wanted, name)
  await using sql = await openAdminSql(context, server)
  const told = { id: `${name}.promote`, server: name, title: 'become the primary' }
  await takeStep(context, told, async () => promoteStandby(context, server, sql))
  const checked = { id: `${name}.checkpoint`, server: name, title: 'checkpoint' }
  await takeStep(context, checked, async () => checkpoint(context, server))
}
