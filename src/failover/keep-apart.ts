/**
 * Standbys whose WAL is another than the candidate's, although both are on one timeline: attached
 * to it they would stream, and hold other rows. What only they hold is kept: each is stopped and
 * fenced until `rejoin` clones it and puts its old directory aside.
 */
import { fenceServer } from '../host/boot-guard.ts'
import { takeStep } from '../build/apply.ts'
import type { ClusterContext } from '../cluster/context.ts'
import type { AnsweringMember } from './switch-plan.ts'
import type { FailoverPlan } from './failover-plan.ts'
import { stopRejoining } from './rejoin-course.ts'
import { wantedServer } from '../cluster/wanted-server.ts'

/** Those that may follow the candidate. */
export function joiningOf({ others, beside }: FailoverPlan): readonly AnsweringMember[] {
  return others.filter(({ name }) => beside?.get(name) !== 'different')
}

function partedOf({ others, beside }: FailoverPlan): readonly AnsweringMember[] {
  return others.filter(({ name }) => beside?.get(name) === 'different')
}

/** Fences the rest, before the promotion: a run that dies must not leave them to be attached. */
export async function fenceParted(context: ClusterContext, plan: FailoverPlan): Promise<void> {
  for (const { name } of partedOf(plan)) {
    const server = wantedServer(context.wanted, name)
    const { host } = await context.machineOf(server)
    const at = new Date(context.clock.now()).toISOString()
    const reason = `its WAL is another than that of "${plan.to.name}", which was to be promoted, on the same timeline`
    await fenceServer({ host, directory: server.directory }, { by: 'failover', at, reason })
  }
}

/**
 * Stops them, after the promotion: until then the lock on changes of roles is held on them, too.
 */
export async function stopParted(context: ClusterContext, plan: FailoverPlan): Promise<void> {
  for (const { name } of partedOf(plan)) {
    const told = { id: `${name}.apart`, server: name, title: 'stop it: its WAL is another' }
    await takeStep(context, told, async () => stopRejoining(context, name))
  }
}
