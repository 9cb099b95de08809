/**
 * Runs `up` in a process of its own, to be killed. Argument: a JSON file `{ wanted, killAt?, record? }`.
 * Kills itself at the crash point `killAt`; appends the names of the points it passes to `record`.
 */
import { appendFileSync, readFileSync } from 'node:fs'
import { clusterContext } from '../../src/cluster/context.ts'
import { bringUp } from '../../src/cluster/up.ts'
import type { ClusterWanted } from '../../src/cluster/wanted.ts'
import { renderErrorText } from '../../src/errors/render.ts'
import { LocalHost } from '../../src/host/local-host.ts'
import { systemClock } from '../../src/util/clock.ts'

export interface UpOrder {
  readonly wanted: ClusterWanted
  readonly killAt?: string
  readonly record?: string
}

const order = JSON.parse(readFileSync(process.argv[2] as string, 'utf8')) as UpOrder
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
try {
  await bringUp(context)
} catch (error) {
  process.stderr.write(renderErrorText(error))
  process.exitCode = 1
}
