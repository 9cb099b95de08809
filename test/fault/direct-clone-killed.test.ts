/**
 * A clone on the standby's own machine never goes on without its operator, and what it leaves is finished by the next `up`. The
 * primary's walsender is held in the middle, so that the clone cannot be over before the operator is.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { CloneMark } from '../../src/cluster/clone-mark.ts'
import { bringUp } from '../../src/build/up.ts'
import { type House, makeHouse, openHouse } from '../integration/cluster/house.ts'
import {
  onOtherMachines,
  openOperator,
  type OperatorOrder,
  whyNoRemoteHouse,
} from '../integration/cluster/remote-house.ts'
import { startSshd } from '../harness/sshd.ts'
import { until } from '../harness/until.ts'

const CHILD = join(import.meta.dirname, 'remote-up-child.ts')
/** Large enough to be in the middle of when the walsender is stopped. */
const ROWS = 4_000_000
const TIMEOUT_MS = 60_000

describe('a clone on the standby’s own machine', { skip: whyNoRemoteHouse() }, () => {
  test('ends with its operator, and the next up finishes', async () => {
    await using scene = await beginScene()
    const { worker } = scene.mark
    scene.operator.kill('SIGKILL')
    await until('the clone to end', () => !isAlive(worker), TIMEOUT_MS)
    scene.release()
    assert.equal(existsSync(join(scene.house.path, 'db2/backstay-clone.json')), true)
    assert.equal(existsSync(join(scene.house.path, 'db2/global/pg_control')), false)
    await finish(scene)
  })

  test('that hangs when its operator dies is ended by the next up before anything is touched', async () => {
    await using scene = await beginScene()
    const { worker } = scene.mark
    process.kill(worker, 'SIGSTOP')
    scene.operator.kill('SIGKILL')
    scene.release()
    assert.equal(isAlive(worker), true)
    await finish(scene)
    assert.equal(isAlive(worker), false)
  })
})

interface Scene extends AsyncDisposable {
  readonly house: House
  readonly order: OperatorOrder
  readonly operator: ChildProcess
  readonly mark: { readonly worker: number }
  /** Lets the primary's walsender go on. */
  release(): void
}

/** An `up` in a process of its own, in the middle of the clone. */
async function beginScene(): Promise<Scene> {
  const stack = new AsyncDisposableStack()
  const sshd = stack.use(await startSshd())
  const base = stack.use(await makeHouse({ major: 18, backup: false }))
  const wanted = onOtherMachines(base.wanted)
  const house = openHouse(base.path, wanted, async () => undefined)
  const { address, configFile, environment, directory } = sshd
  const ssh = { address, configFile, environment }
  const order: OperatorOrder = { wanted, ssh, folder: join(directory, 'backstay') }
  await buildPrimary(house, order)
  const path = join(directory, 'order.json')
  writeFileSync(path, JSON.stringify(order))
  const operator = spawn(process.execPath, [CHILD, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  stack.defer(() => void operator.kill('SIGKILL'))
  await said(operator, 'cloning')
  const walsender = await walsenderOf(house)
  process.kill(walsender, 'SIGSTOP')
  const release = (): void => void process.kill(walsender, 'SIGCONT')
  const text = readFileSync(join(house.path, 'db2/backstay-clone.json'), 'utf8')
  const worker = (JSON.parse(text) as CloneMark).worker?.pid ?? 0
  assert.equal(isAlive(worker), true)
  return {
    house,
    order,
    operator,
    mark: { worker },
    release,
    [Symbol.asyncDispose]: async () => stack.disposeAsync(),
  }
}

async function buildPrimary(house: House, order: OperatorOrder): Promise<void> {
  const servers = house.wanted.servers.slice(0, 1)
  await using operator = await openOperator({ ...order, wanted: { ...order.wanted, servers } })
  await bringUp(operator.context())
  await house.query(
    'db1',
    `CREATE TABLE big AS SELECT g, repeat('x', 60) AS filler FROM generate_series(1, ${ROWS}) g`,
  )
}

/** The standby is there, whole, and streams; nobody else clones any more. */
async function finish({ house, order }: Scene): Promise<void> {
  await using operator = await openOperator(order)
  await bringUp(operator.context())
  const [row] = await house.query('db2', 'SELECT count(*)::int AS n FROM big')
  assert.deepEqual(row, { n: ROWS })
  assert.equal(existsSync(join(house.path, 'db2/backstay-clone.json')), false)
  const senders = await house.query(
    'db1',
    'SELECT application_name, state FROM pg_stat_replication',
  )
  assert.deepEqual(senders, [{ application_name: 'db2', state: 'streaming' }])
}

async function walsenderOf(house: House): Promise<number> {
  const query = `SELECT pid FROM pg_stat_activity WHERE backend_type = 'walsender'`
  const [row] = await house.query('db1', query)
  return Number(row?.['pid'])
}

async function said(child: ChildProcess, line: string): Promise<void> {
  let text = ''
  child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()))
  await until(
    `the operator to say "${line}"`,
    () => {
      assert.equal(child.exitCode, null, `the operator ended: ${text}`)
      return text.includes(`${line}\n`)
    },
    TIMEOUT_MS,
  )
}

function isAlive(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
  } catch {
    return false
  }
}
