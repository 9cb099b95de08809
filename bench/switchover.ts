/**
 * How long nobody can write while the role of the primary changes hands: a client writes a row every 10 ms and connects to
 * whichever server takes it; the longest time between two acknowledged rows counts. All acknowledged rows are looked for
 * afterwards. Run: node bench/switchover.ts [rounds] [major] [sync]
 */
import { switchOver } from '../src/failover/switchover.ts'
import { bringUp } from '../src/build/up.ts'
import type { PostgresMajor } from '../src/postgres/version.ts'
import { makeHouse, openHouse } from '../test/integration/cluster/house.ts'
import { lostRows, makeTable, Writer } from '../test/integration/roles/writer.ts'
import { reportSpread } from './figures.ts'

const WRITE_EVERY_MS = 10

const rounds = Number(process.argv[2] ?? 20)
const major = Number(process.argv[3] ?? 18) as PostgresMajor
const isSynchronous = process.argv[4] === 'sync'

await using base = await makeHouse({ major, standbys: 2, backup: false })
const replication = {
  ...base.wanted.replication,
  ...(isSynchronous ? { synchronousStandbys: 1 } : {}),
}
const house = openHouse(base.path, { ...base.wanted, replication }, async () => undefined)
await bringUp(house.context())
await makeTable(house)

const silences: number[] = []
const stops: number[] = []
const totals: number[] = []
let lost = 0
let written = 0
let number = 0
for (let round = 0; round < rounds; round += 1) {
  const to = round % 2 === 0 ? 'db2' : 'db1'
  const load = new Writer(house, (number += 1))
  const clock = new Writer(house, (number += 1), WRITE_EVERY_MS)
  const startedAt = performance.now()
  const { refusedMs, primary } = await switchOver(house.context(), { to })
  totals.push(performance.now() - startedAt)
  await Promise.all([load.stop(), clock.stop()])
  stops.push(refusedMs ?? Number.NaN)
  silences.push(clock.longestSilenceMs)
  written += load.acknowledged.length + clock.acknowledged.length
  lost += (await lostRows(house, primary, [load, clock])).length
}
const mode = isSynchronous ? 'ANY 1 of 2 standbys' : 'asynchronous'
console.log(
  `PostgreSQL ${major}, primary and two standbys on loopback, ${mode}, ${rounds} switchovers`,
)
reportSpread('writes refused, as the client saw it', silences)
reportSpread('from the stop of the old to the promotion of the new primary', stops)
reportSpread('the whole command, until every standby showed a row', totals)
console.log(`${written} rows acknowledged, ${lost} lost`)
process.exitCode = lost === 0 ? 0 : 1
