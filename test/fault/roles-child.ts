/**
 * Runs one change of roles in a process of its own, to be killed. Argument: a JSON file, see RoleOrder.
 * Kills itself at the crash point `killAt`; appends the names of the points it passes to `record`.
 */
import { appendFileSync, readFileSync } from 'node:fs'
import { clusterContext } from '../../src/cluster/context.ts'
import { failOver } from '../../src/cluster/roles/failover.ts'
import { rejoinServer } from '../../src/cluster/roles/rejoin.ts'
import { switchOver } from '../../src/cluster/roles/switchover.ts'
import type { ClusterWanted } from '../../src/cluster/wanted.ts'
import { renderErrorText } from '../../src/errors/render.ts'
import { LocalHost } from '../../src/host/local-host.ts'
import { systemClock } from '../../src/util/clock.ts'

export interface RoleOrder {
  readonly wanted: ClusterWanted
  readonly command: 'switchover' | 'failover' | 'rejoin'
  /** The server of `--to`, or the one that rejoins. */
  readonly server: string
  readonly killAt?: string
  readonly record?: string
}

const order = JSON.parse(readFileSync(process.argv[2] as string, 'utf8')) as RoleOrder
const home = new LocalHost('localhost')
const context = clusterContext({
  wanted: order.wanted,
  home,
  openHost: async () => home,
  clock: systemClock,
  signal: new AbortController().signal,
  crashPoint: async (name) => {
    if (order.record !== undefined) appendFileSync(order.record, `${name}\n`)
    if (name !== order.killAt) return
    process.kill(process.pid, 'SIGKILL')
    // The signal is delivered before anything else runs.
    await new Promise(() => undefined)
  },
})
const consent = { allowDataLoss: false, primaryIsDead: false, planOnly: false }
try {
  if (order.command === 'switchover') await switchOver(context, { to: order.server })
  if (order.command === 'failover') await failOver(context, { to: order.server, ...consent })
  if (order.command === 'rejoin') await rejoinServer(context, order.server)
} catch (error) {
  process.stderr.write(renderErrorText(error))
  process.exitCode = 1
}
