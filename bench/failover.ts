/**
 * Power failures of the primary, one after another, with commits that wait for one of two standbys: all its processes are
 * killed at once, its host does not answer, a standby takes over, every acknowledged row is looked for, and the old primary
 * rejoins. Run: node bench/failover.ts [rounds] [major]
 */
import { readFileSync } from 'node:fs'
import { type ClusterContext, clusterContext } from '../src/cluster/context.ts'
import { failOver } from '../src/failover/failover.ts'
import { rejoinServer } from '../src/failover/rejoin.ts'
import { bringUp } from '../src/build/up.ts'
import { BackstayError } from '../src/errors/backstay-error.ts'
import { LocalHost } from '../src/host/local-host.ts'
import type { PostgresMajor } from '../src/postgres/version.ts'
import { systemClock } from '../src/util/clock.ts'
import { until } from '../test/harness/until.ts'
import { type House, makeHouse, openHouse } from '../test/integration/cluster/house.ts'
import { postmasterOf } from '../test/integration/roles/support.ts'
import { lostRows, makeTable, Writer } from '../test/integration/roles/writer.ts'
import { reportSpread } from './figures.ts'

const CONSENT = { allowDataLoss: false, primaryIsDead: true, planOnly: false }

const rounds = Number(process.argv[2] ?? 20)
const major = Number(process.argv[3] ?? 18) as PostgresMajor

await using base = await makeHouse({ major, standbys: 2, backup: false })
const replication = { ...base.wanted.replication, synchronousStandbys: 1 }
const house = openHouse(base.path, { ...base.wanted, replication }, async () => undefined)
await bringUp(house.context())
await bringUp(house.context())
await makeTable(house)

const takeovers: number[] = []
const silences: number[] = []
const ways = new Map<string, number>()
let primary = 'db1'
let lost = 0
let written = 0
for (let round = 0; round < rounds; round += 1) {
  const writers = [1, 2, 3].map((number) => new Writer(house, round * 3 + number))
  await until('rows', () => writers.every(({ acknowledged }) => acknowledged.length > 30))
  await cutPower(primary)
  const startedAt = performance.now()
  const result = await failOver(without(house, primary), CONSENT)
  takeovers.push(performance.now() - startedAt)
  const count = writers[0]?.acknowledged.length ?? 0
  await until('writing to go on', () => (writers[0]?.acknowledged.length ?? 0) > count)
  await Promise.all(writers.map(async (writer) => writer.stop()))
  const old = primary
  primary = result.primary ?? ''
  lost += (await lostRows(house, primary, writers)).length
  written += writers.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0)
  silences.push(Math.max(...writers.map(({ longestSilenceMs }) => longestSilenceMs)))
  const { way } = await rejoinServer(house.context(), old)
  ways.set(way, (ways.get(way) ?? 0) + 1)
}
console.log(
  `PostgreSQL ${major}, primary and two standbys on loopback, ANY 1 of 2, ${rounds} power failures`,
)
reportSpread('the command failover', takeovers)
reportSpread('nobody could write, from the power failure on', silences)
console.log(`old primaries rejoined: ${[...ways].map(([way, n]) => `${n} ${way}`).join(', ')}`)
console.log(`${written} rows acknowledged, ${lost} lost`)
process.exitCode = lost === 0 ? 0 : 1

/** All processes of the server, at one moment. */
async function cutPower(server: string): Promise<void> {
  const pid = await postmasterOf(house, server)
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
  for (const each of [pid, ...children.map(Number)]) {
    try {
      process.kill(each, 'SIGKILL')
    } catch {
      // It ended by itself meanwhile.
    }
  }
}

function without({ wanted }: House, server: string): ClusterContext {
  const home = new LocalHost('localhost')
  const servers = wanted.servers.map((each) =>
    each.name === server ? { ...each, host: { ...each.host, address: 'gone' } } : each,
  )
  return clusterContext({
    wanted: { ...wanted, servers },
    home,
    openHost: async ({ address }) => {
      if (address !== 'gone') return home
      throw new BackstayError('HOST_UNREACHABLE', 'Cannot reach host "gone": no route to host')
    },
    clock: systemClock,
    signal: new AbortController().signal,
  })
}
