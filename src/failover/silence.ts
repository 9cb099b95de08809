/**
 * Whether somebody lives whom a failover would promote another one beside. Of a primary that cannot
 * be reached it takes two signals: it does not answer us, and it has fallen silent to its standbys.
 * Where the lost one is known to be stopped, whoever the candidate still receives from is another.
 */
import type { ClusterContext } from '../cluster/context.ts'
import type { ClusterWanted } from '../cluster/wanted.ts'
import type { FailoverPlan } from './failover-plan.ts'
import { awaitSilence } from './life-signs.ts'

/** Waits for it. @throws SPLIT_BRAIN when somebody speaks. */
export async function requireSilence(context: ClusterContext, plan: FailoverPlan): Promise<void> {
  if (plan.fencing === 'unreachable') {
    const standbys = [plan.to, ...plan.others]
    await Promise.all(standbys.map(async ({ name }) => awaitSilence(context, name, plan.from.name)))
    return
  }
  const sender = senderBeside(context.wanted, plan)
  if (sender !== undefined) await awaitSilence(context, plan.to.name, sender)
}

/**
 * Who sends to the candidate and is neither the lost primary nor a standby that answers: its name,
 * or where it is. Of a primary that hangs the walreceiver is still there. Pure.
 */
export function senderBeside(
  { servers }: Pick<ClusterWanted, 'servers'>,
  { from, fencing, to, others }: FailoverPlan,
): string | undefined {
  const { receiver } = to.sql
  if (fencing === 'hung' || receiver?.status !== 'streaming') return undefined
  const { senderHost, senderPort } = receiver
  const sender = servers.find(({ address, port }) => address === senderHost && port === senderPort)
  const isKnown = [from, ...others].some(({ name }) => name === sender?.name)
  return isKnown ? undefined : (sender?.name ?? `${senderHost}:${senderPort}`)
}
