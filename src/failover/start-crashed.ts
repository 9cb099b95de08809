/**
 * What becomes of the old primary when a failover reached its machine: it is marked as a standby,
 * and has not shut down.
 */
import { fenceServer } from '../host/boot-guard.ts'
import { applySteps } from '../build/apply.ts'
import { type ClusterContext, orElse } from '../cluster/context.ts'
import type { MemberFound } from '../cluster/leader.ts'
import { step } from '../build/plan/step.ts'
import { isBeginningOf } from './lineage.ts'
import { wantedServer } from '../cluster/wanted-server.ts'

/** The old primary, marked and stopped. */
interface Crashed {
  readonly from: MemberFound
  /** The new primary. */
  readonly to: string
  /** Whether this failover has read its WAL to the end, and handed all of it to the new primary. */
  readonly isAllRead: boolean
}

/**
 * Starts it as a standby when all of its WAL was read and is the new primary's too. Otherwise it
 * would recover to where its WAL can be read, follow from there, and hold other rows: it stays
 * down, whoever would start it, until it is rejoined, which rewinds or clones it.
 */
export async function startIfProved(
  context: ClusterContext,
  { from, to, isAllRead }: Crashed,
): Promise<void> {
  const server = wantedServer(context.wanted, from.name)
  if (isAllRead || (await isProved(context, from, to))) {
    const text = { title: 'start PostgreSQL', reason: `all it has is on "${to}"` }
    return await applySteps(context, [step(from.name, { action: 'start' }, text)])
  }
  const { host } = await context.machineOf(server)
  const reason = `"${to}" was promoted, and it is not proved that this server has nothing else: backstay rejoin ${from.name}`
  const at = new Date(context.clock.now()).toISOString()
  await fenceServer({ host, directory: server.directory }, { by: 'failover', at, reason })
}

/** What cannot be told is not proved. */
async function isProved(context: ClusterContext, from: MemberFound, to: string): Promise<boolean> {
  return await orElse(
    async () => isBeginningOf(context, from, wantedServer(context.wanted, to)),
    false,
  )
}
