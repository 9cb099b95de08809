/**
 * The steps of a switchover, as its plan tells them and as they are told when they are taken. Pure.
 */
import { formatLsn, type Lsn } from '../postgres/lsn.ts'
import type { StepTold } from '../build/apply.ts'
import { step } from '../build/plan/step.ts'
import type { ClusterWanted } from '../cluster/wanted.ts'
import { followSteps, pointSteps, slotSteps } from './follow.ts'
import type { SwitchPlan } from './switch-plan.ts'

/** What the primary has not written out then, it need not write while nobody can write. */
export function checkpointTold(server: string): StepTold {
  return { id: `${server}.checkpoint`, server, title: 'checkpoint' }
}

/**
 * Waiting until the candidate has nearly all WAL, so that the rest comes while the primary shuts
 * down.
 */
export function nearTold(to: string): StepTold {
  return { id: `${to}.catch-up`, server: to, title: 'wait until it is near' }
}

/** From here on nobody can write. */
export function stopTold(from: string): StepTold {
  const title = 'stop the primary, mark it to start as a standby'
  return { id: `${from}.stop`, server: from, title }
}

/** `endLsn` is known when the old primary has stopped. */
export function proveTold(from: string, to: string, endLsn?: Lsn): StepTold {
  const upTo = endLsn === undefined ? '' : `, up to ${formatLsn(endLsn)}`
  return { id: `${to}.prove`, server: to, title: `have all WAL of "${from}"${upTo}` }
}

/** Then writes are taken again. */
export function promoteTold(to: string): StepTold {
  return { id: `${to}.promote`, server: to, title: 'become the primary' }
}

/** The old primary comes back as what its files say now. */
export function startStep(from: string): ReturnType<typeof step> {
  return step(from, { action: 'start' }, { title: 'start PostgreSQL', reason: 'as a standby' })
}

/** The last step: the proof that all follow. */
export function verifyTold(to: string): StepTold {
  return { id: 'switchover.verify', server: to, title: 'write a row, read it everywhere' }
}

/** All of them in order, as far as they are known before the first is taken. */
export function switchSteps(
  wanted: ClusterWanted,
  { from, to, others }: SwitchPlan,
): readonly StepTold[] {
  const slots = { to: to.name, slots: to.sql.slots, oldSlots: from.sql.slots }
  const following = others.flatMap((other) => followSteps(wanted, other, to.name))
  const { steps } = pointSteps(wanted, from, to.name)
  const told = [
    ...slotSteps(wanted, slots),
    ...steps,
    ...[from, to].map(({ name }) => checkpointTold(name)),
    nearTold(to.name),
    stopTold(from.name),
    proveTold(from.name, to.name),
    promoteTold(to.name),
    ...following,
    startStep(from.name),
    checkpointTold(to.name),
    verifyTold(to.name),
  ]
  return told.map(({ id, server, title }) => ({ id, server, title }))
}
