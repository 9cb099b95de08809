/**
 * Takes the lock on changes of roles in a process of its own, says so, and keeps it until its standard input ends. Argument: a JSON file,
 * see HolderOrder.
 */
import { readFileSync } from 'node:fs'
import { lookCluster } from '../../../src/cluster/look/look.ts'
import { lockRoles } from '../../../src/failover/role-lock.ts'
import { dyingCluster, type DyingOrder } from '../../fault/dying-cluster.ts'

export interface HolderOrder extends DyingOrder {
  readonly silenceMs: number
}

const order = JSON.parse(readFileSync(process.argv[2] as string, 'utf8')) as HolderOrder
const context = dyingCluster(order)
await using _roles = await lockRoles(
  context,
  await lookCluster(context, { forPlan: true }),
  order.silenceMs,
)
process.stdout.write('held\n')
for await (const _chunk of process.stdin);
