/**
 * Promise: a change of roles that is killed anywhere is finished or undone by the same command; no acknowledged row is lost,
 * and there are never two primaries.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { failOver } from '../../src/failover/failover.ts'
import { switchOver } from '../../src/failover/switchover.ts'
import { bringUp } from '../../src/build/up.ts'
import type { ServerWanted } from '../../src/cluster/wanted.ts'
import { promoteServer } from '../../src/host/postgres-control.ts'
import { closeJournal } from '../../src/cluster/journal.ts'
import { rejoinServer, type RejoinResult } from '../../src/failover/rejoin.ts'
import { instanceOf } from '../../src/build/steps/act-context.ts'
import { availableMajors, debianBinaries } from '../harness/binaries.ts'
import { until } from '../harness/until.ts'
import { type House, makeHouse, openHouse } from '../integration/cluster/house.ts'
import { isInOrder, postmasterOf, primariesOf, withCode } from '../integration/roles/support.ts'
import { lostRows, makeTable, Writer } from '../integration/roles/writer.ts'
import type { RoleOrder } from './roles-child.ts'

const CHILD = join(import.meta.dirname, 'roles-child.ts')

interface Ended {
  readonly signal: NodeJS.Signals | null
  readonly code: number | null
  readonly said: string
}

async function run(house: House, order: Omit<RoleOrder, 'wanted'>): Promise<Ended> {
  const file = join(house.path, 'order.json')
  await writeFile(file, JSON.stringify({ wanted: house.wanted, ...order }))
  const child = spawn(process.execPath, [CHILD, file], { stdio: ['ignore', 'inherit', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  return await new Promise((resolve) =>
    child.on('close', (code, signal) => resolve({ code, signal, said })),
  )
}

/** Points of a switchover from `from` to `to`, in order. */
function switchoverPoints(from: string, to: string): readonly string[] {
  return [
    'switchover.prepare',
    'switchover.stop',
    `after ${from}.stop`,
    'switchover.prove',
    'switchover.promote',
    `after ${to}.promote`,
    'switchover.settle',
  ]
}

/** Every row that was acknowledged is on the only primary. */
async function isWhole(house: House, writer: Writer, primary: string): Promise<void> {
  assert.deepEqual(await primariesOf(house), [primary])
  const count = writer.acknowledged.length
  await until('the writer to go on', () => writer.acknowledged.length > count)
  assert.deepEqual(await lostRows(house, primary, [writer]), [])
}

describe('PostgreSQL 18', { skip: !availableMajors().includes(18) && 'not installed' }, () => {
  test('a switchover killed at each step and run again is finished', async (t) => {
    await using house = await makeHouse({ major: 18, backup: false })
    await bringUp(house.context())
    await makeTable(house)
    await using writer = new Writer(house, 1, 2)
    let [from, to] = ['db1', 'db2']
    for (const [index] of switchoverPoints(from, to).entries()) {
      const killAt = switchoverPoints(from, to)[index] ?? ''
      const { signal, said } = await run(house, { command: 'switchover', server: to, killAt })
      assert.equal(signal, 'SIGKILL', `at ${killAt}: ${said}`)
      assert.ok((await primariesOf(house)).length <= 1, `two primaries after ${killAt}`)
      await assert.rejects(bringUp(house.context()), withCode('UNFINISHED'))
      const { outcome, primary } = await switchOver(house.context())
      t.diagnostic(`killed at ${killAt}: ${outcome}, ${primary} is primary`)
      assert.equal(primary, to)
      await isWhole(house, writer, primary)
      ;[from, to] = [to, from]
    }
    await writer.stop()
    await isInOrder(house, from)
  })

  test('a rejoin that clones, killed at its steps and run again, is finished', async () => {
    await using house = await makeHouse({ major: 18, backup: false })
    await bringUp(house.context())
    await rejoinsAt(house, [
      ['rejoin.follow', 'clone'],
      ['reclone.aside', 'built'],
      ['clone.filling', 'built'],
    ])
  })

  test('a failover killed at each step and run again is finished', async (t) => {
    await using house = await makeHouse({ major: 18, backup: false })
    await bringUp(house.context())
    await makeTable(house)
    await using writer = new Writer(house, 1, 2)
    let [from, to] = ['db1', 'db2']
    for (const phase of ['fence', 'freeze', 'feed', 'promote', 'settle']) {
      const count = writer.acknowledged.length
      await until('rows', () => writer.acknowledged.length > count + 10)
      process.kill(await postmasterOf(house, from), 'SIGKILL')
      const killAt = `failover.${phase}`
      const { signal, code, said } = await run(house, { command: 'failover', server: to, killAt })
      // The step in which the candidate is given WAL is there only when it lacks some.
      assert.ok(signal === 'SIGKILL' || (phase === 'feed' && code === 0), `at ${killAt}: ${said}`)
      assert.ok((await primariesOf(house)).length <= 1, `two primaries after ${killAt}`)
      if (signal === 'SIGKILL') {
        const again = { allowDataLoss: false, primaryIsDead: false, planOnly: false }
        const { problems } = await failOver(house.context(), again)
        assert.deepEqual(problems, [])
      }
      t.diagnostic(`killed at ${killAt}: ${to} is primary`)
      await isWhole(house, writer, to)
      ;[from, to] = [to, from]
    }
    await writer.stop()
    await isInOrder(house, from)
  })
})

/** Both are primary and written to, and the old one crashes. */
async function diverge(house: House, old: string, next: string): Promise<void> {
  const server = house.wanted.servers.find(({ name }) => name === next) as ServerWanted
  await promoteServer(await instanceOf(house.context(), server), { timeoutMs: 30_000 })
  await house.query(
    old,
    `CREATE TABLE only_on_${old} (i int); CHECKPOINT; CREATE TABLE more (i int)`,
  )
  await house.query(next, 'CREATE TABLE IF NOT EXISTS kept (i int); INSERT INTO kept VALUES (1)')
  process.kill(await postmasterOf(house, old), 'SIGKILL')
}

/** Where it is killed, and how the next run brings the server back. */
type Point = readonly [killAt: string, way: RejoinResult['way']]

async function rejoinsAt(house: House, points: readonly Point[]): Promise<void> {
  let [old, next] = ['db1', 'db2']
  for (const [point, way] of points) {
    const killAt = point.replace('OLD', old)
    await diverge(house, old, next)
    const { signal, said } = await run(house, { command: 'rejoin', server: old, killAt })
    assert.equal(signal, 'SIGKILL', `${killAt}: ${said}`)
    await assert.rejects(bringUp(house.context()), withCode('UNFINISHED'))
    const result = await rejoinServer(house.context(), old)
    assert.equal(result.way, way, killAt)
    assert.ok(result.keptAside.length > 0, `after ${killAt} nobody says what is kept`)
    await isInOrder(house, next)
    const query = "SELECT relname FROM pg_class WHERE relname LIKE 'only_on%'"
    assert.deepEqual(await house.query(old, query), [], `${old} has only what the primary has`)
    ;[old, next] = [next, old]
  }
}

const debian = debianBinaries(15)

describe('PostgreSQL 15', { skip: debian === undefined && 'no pg_rewind here' }, () => {
  test('a rejoin that rewinds, killed at each step and run again, is finished', async () => {
    await using base = await makeHouse({ major: 15, backup: false })
    const postgres = { ...base.wanted.postgres, binaries: debian }
    const house = openHouse(base.path, { ...base.wanted, postgres }, async () => undefined)
    await bringUp(house.context())
    await rejoinsAt(house, [
      ['rejoin.follow', 'rewind'],
      ['before OLD.rewind', 'rewind'],
      ['rejoin.rewind', 'clone'],
      ['rewind.done', 'clone'],
      ['after OLD.rewind', 'follow'],
    ])
  })

  test('a server that was half rewound is not started, also when nothing tells of the rejoin any more', async () => {
    await using base = await makeHouse({ major: 15, backup: false })
    const postgres = { ...base.wanted.postgres, binaries: debian }
    const house = openHouse(base.path, { ...base.wanted, postgres }, async () => undefined)
    await bringUp(house.context())
    await diverge(house, 'db1', 'db2')
    // The third gives the directory its name back, and dies before it has set it aside.
    for (const killAt of ['rewind.done', 'rejoin.clone', 'rejoin.clone']) {
      const { signal, said } = await run(house, { command: 'rejoin', server: 'db1', killAt })
      assert.equal(signal, 'SIGKILL', `${killAt}: ${said}`)
    }
    // As a failover does, which needs the journal for itself.
    await closeJournal(house.context())
    await assert.rejects(
      bringUp(house.context()),
      withCode('SPLIT_BRAIN', /"db1".*fenced by rejoin.*a rewind of it began and did not end/),
    )
    const { way } = await rejoinServer(house.context(), 'db1')
    assert.equal(way, 'clone')
    await isInOrder(house, 'db2')
  })
})
