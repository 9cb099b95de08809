/**
 * A server that has another name in the cluster file now: what was made under the old name goes,
 * and the server runs as the service of the new one. Two units never start one directory.
 */
import { BackstayError } from '../../errors/backstay-error.ts'
import { postgresServiceOf } from '../../host/postgres-unit.ts'
import { removeHold } from '../../host/rival-units.ts'
import { removeUnit } from '../../host/systemd.ts'
import { applySteps } from '../apply.ts'
import type { ClusterContext } from '../../cluster/context.ts'
import type { ClusterFound } from '../../cluster/found.ts'
import { lockCluster } from '../../cluster/lock.ts'
import { lookCluster } from '../../cluster/look/look.ts'
import { slotNameOf } from '../../cluster/names.ts'
import { attachStep } from '../plan/attach-plan.ts'
import { planRestart } from '../plan/restart-plan.ts'
import { step } from '../plan/step.ts'
import { refuseUnfinished } from '../../cluster/journal.ts'
import { bringUpLocked } from '../up.ts'
import { closeWay } from '../../fleet/open-way.ts'
import type { ServerWanted } from '../../cluster/wanted.ts'
import { dropLeftSlot } from './left-sql.ts'
import { leftOf, NOTHING_MADE, sameServer, without } from '../../cluster/made.ts'
import { wantedServer } from '../../cluster/wanted-server.ts'

/** From which name to which. */
export interface RenameWish {
  readonly from: string
  readonly to: string
  /** Asked before it is restarted. */
  readonly confirm: (question: string) => Promise<boolean>
}

/**
 * Renames. Run again after an interruption, it goes on.
 * @returns what is gone, in words
 * @throws USAGE when these are not two names of one server; NEEDS_CONFIRMATION, NOT_READY,
 * UNFINISHED, what `up` throws
 */
export async function rename(
  context: ClusterContext,
  wish: RenameWish,
): Promise<readonly string[]> {
  await using lock = await lockCluster(context, 'rename')
  void lock
  await refuseUnfinished(context)
  const old = await oldServer(context, wish)
  const server = wantedServer(context.wanted, wish.to)
  const { host, usesSystemd } = await context.machineOf(server)
  if (usesSystemd) await ask(wish)
  await bringUpLocked(context)
  const found = await lookCluster(context, { forPlan: false })
  if (usesSystemd) {
    await restart(context, found, wish.to)
    const { unit } = postgresServiceOf(context.wanted.name, old.name)
    await removeUnit(host, unit)
    await removeHold(host, unit)
  }
  const slot = slotNameOf(old.name)
  const isDropped =
    slot !== slotNameOf(wish.to) &&
    (await dropLeftSlot(context, found, { slot, isDeserted: false }))
  const isClosed = await closeWay(context, old.name)
  const made = (await context.state.readMade()) ?? NOTHING_MADE
  await context.state.writeMade(without(made, old.name))
  return [
    ...(usesSystemd ? [`service ${postgresServiceOf(context.wanted.name, old.name).unit}`] : []),
    ...(isDropped ? [`slot "${slot}"`] : []),
    ...(isClosed ? ['the old way into the repository'] : []),
  ]
}

async function oldServer(
  { state, wanted }: ClusterContext,
  { from, to }: RenameWish,
): Promise<ServerWanted> {
  const left = leftOf((await state.readMade()) ?? NOTHING_MADE, wanted)
  const old = left.servers.find(({ name }) => name === from)
  if (old !== undefined && sameServer(old, wanted)?.name === to) return old
  const why =
    old === undefined
      ? `nothing is known of "${from}" that is not in the cluster file`
      : `"${to}" in the cluster file is another machine or directory than "${from}" was`
  throw new BackstayError('USAGE', `Cannot rename "${from}" to "${to}": ${why}`, {
    hint: 'Change the name in the cluster file, and nothing else, then run the command. backstay plan says what is left under old names.',
  })
}

/**
 * Under the old service it would die unclean at the next reboot, when systemd does not know that
 * any more.
 */
async function restart(context: ClusterContext, found: ClusterFound, name: string): Promise<void> {
  const { primary, lead } = planRestart(context.wanted, found, { server: name, switchover: false })
  const wanted = wantedServer(context.wanted, primary.name)
  const waiting =
    lead === 'none'
      ? [name]
      : context.wanted.servers.map((each) => each.name).filter((each) => each !== name)
  const text = { title: 'restart as its new service', reason: 'it has another name' }
  await applySteps(context, [step(name, { action: 'restart' }, text)])
  await applySteps(
    context,
    waiting.map((each) => attachStep(each, { wanted, found: undefined }, 'a restart')),
  )
}

async function ask({ confirm, from, to }: RenameWish): Promise<void> {
  const question = `Restart the server that was "${from}" as "${to}"?`
  if (await confirm(question)) return
  throw new BackstayError('NEEDS_CONFIRMATION', `Will not rename "${from}" unasked: ${question}`)
}
