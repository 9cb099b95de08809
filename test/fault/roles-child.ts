/**
 * Runs one change of roles in a process of its own, to be killed. Argument: a JSON file, see RoleOrder.
 */
import { readFileSync } from 'node:fs'
import { failOver } from '../../src/failover/failover.ts'
import { rejoinServer } from '../../src/failover/rejoin.ts'
import { switchOver } from '../../src/failover/switchover.ts'
import { renderErrorText } from '../../src/errors/render.ts'
import { dyingCluster, type DyingOrder } from './dying-cluster.ts'

export interface RoleOrder extends DyingOrder {
  readonly command: 'switchover' | 'failover' | 'rejoin'
  /** The server of `--to`, or the one that rejoins. */
  readonly server: string
}

const order = JSON.parse(readFileSync(process.argv[2] as string, 'utf8')) as RoleOrder
const context = dyingCluster(order)
const consent = { allowDataLoss: false, primaryIsDead: false, planOnly: false }
try {
  if (order.command === 'switchover') await switchOver(context, { to: order.server })
  if (order.command === 'failover') await failOver(context, { to: order.server, ...consent })
  if (order.command === 'rejoin') await rejoinServer(context, order.server)
} catch (error) {
  process.stderr.write(renderErrorText(error))
  process.exitCode = 1
}
