/**
 * Promise: `up` that is killed anywhere can be run again and ends in a proved cluster.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { bringUp } from '../../src/build/up.ts'
import { verifyCluster } from '../../src/build/verify.ts'
import type { ClusterWanted } from '../../src/cluster/wanted.ts'
import { availableMajors } from '../harness/binaries.ts'
import { type House, makeHouse } from '../integration/cluster/house.ts'
import type { DyingOrder } from './dying-cluster.ts'

const CHILD = join(import.meta.dirname, 'up-child.ts')

interface Ended {
  readonly signal: NodeJS.Signals | null
  readonly code: number | null
  readonly said: string
}

/** Runs the child; `killAfterMs` kills it from outside at that moment. */
async function runUp(house: House, order: DyingOrder, killAfterMs?: number): Promise<Ended> {
  const file = join(house.path, 'order.json')
  await writeFile(file, JSON.stringify(order))
  const child = spawn(process.execPath, [CHILD, file], { stdio: ['ignore', 'inherit', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const ended = new Promise<Ended>((resolve) =>
    child.on('close', (code, signal) => resolve({ code, signal, said })),
  )
  if (killAfterMs !== undefined) {
    await Promise.race([ended, delay(killAfterMs)])
    child.kill('SIGKILL')
  }
  return await ended
}

/** The crash points that building the cluster passes, in order, each once; paths as they are in `house`. */
async function pointsOf(pattern: House, house: House): Promise<readonly string[]> {
  const record = join(pattern.path, 'points')
  const { code, said } = await runUp(pattern, { wanted: pattern.wanted, record })
  assert.equal(code, 0, said)
  const names = (await readFile(record, 'utf8')).trim().split('\n')
  return [...new Set(names.map((name) => name.replaceAll(pattern.path, house.path)))]
}

async function endsProved(house: House, wanted: ClusterWanted): Promise<void> {
  const context = (): ReturnType<House['context']> => house.context({ wanted })
  await bringUp(context())
  const proof = await verifyCluster(context())
  assert.ok(proof.isProved, JSON.stringify(proof))
  const again = await bringUp(context())
  assert.deepEqual(
    again.done.map(({ id }) => id),
    [],
  )
  assert.deepEqual(again.problems, [])
}

/** Killed just before, these steps are whole already: the next run does not take them again. */
const COME_TOO_LATE = ['after db2.clone', 'before db2.attach', 'after db2.attach']

const majors = availableMajors().filter((major) => major === 18)

for (const major of majors) {
  describe(`PostgreSQL ${major}: up`, () => {
    test('killed at every point in turn, each run going on from the last, ends proved', async (t) => {
      await using house = await makeHouse({ major, archive: true })
      let points: readonly string[]
      {
        await using pattern = await makeHouse({ major, archive: true })
        points = await pointsOf(pattern, house)
      }
      assert.ok(points.includes('clone.filling') && points.includes('initdb.made'), points.join())
      for (const killAt of points.filter((name) => !COME_TOO_LATE.includes(name))) {
        const { signal, said } = await runUp(house, { wanted: house.wanted, killAt })
        assert.equal(signal, 'SIGKILL', `at ${killAt}: ${said}`)
      }
      t.diagnostic(`killed at ${points.length - COME_TOO_LATE.length} points`)
      await endsProved(house, house.wanted)
    })

    test('killed at every point of a change that restarts both servers ends proved', async () => {
      await using house = await makeHouse({ major })
      await bringUp(house.context())
      const parameters = { ...house.wanted.postgres.parameters, max_connections: '41' }
      const wanted = { ...house.wanted, postgres: { ...house.wanted.postgres, parameters } }
      const points = ['db2.file.settings', 'db2.restart', 'db1.file.settings', 'db1.restart']
      for (const killAt of points.flatMap((id) => [`before ${id}`, `after ${id}`])) {
        const { signal, code, said } = await runUp(house, { wanted, killAt })
        assert.ok(signal === 'SIGKILL' || code === 0, `at ${killAt}: ${said}`)
      }
      await endsProved(house, wanted)
    })
  })
}

describe(
  'PostgreSQL 18: up',
  { skip: !majors.includes(18) && 'PostgreSQL 18 is not installed' },
  () => {
    test('killed at random moments and run again ends proved', async (t) => {
      await using house = await makeHouse({ major: 18, archive: true })
      for (let round = 0; round < 12; round += 1) {
        const killAfterMs = Math.round(300 + Math.random() * 2500)
        const { signal, code, said } = await runUp(house, { wanted: house.wanted }, killAfterMs)
        t.diagnostic(`killed after ${killAfterMs} ms: ${signal ?? `had ended with ${code}`}`)
        assert.ok(signal === 'SIGKILL' || code === 0, said)
      }
      await endsProved(house, house.wanted)
    })
  },
)
